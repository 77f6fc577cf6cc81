"""What a token, an amount or a rule makes happen to one request."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from cashier_sandbox.domain.card_script import card_script_of
from cashier_sandbox.domain.declines import DECLINES

SLOW_MAX_MS = 120_000
HELD_MAX_S = 600
PENDING_MAX_S = 86_400
TIMES_MAX = 1_000
# Distinct tokens remembered in parsed form: labels make them many, and parsing one costs 3 µs.
PARSED_MAX = 4_096
WRONG_AMOUNT_MINOR = 100


class Verdict(StrEnum):
    """What the processor says when nothing breaks."""

    SUCCEED = "succeed"
    DECLINE = "decline"
    PENDING = "pending"
    ACTION = "action"


class Fault(StrEnum):
    """How a request breaks."""

    INTERNAL = "internal_error"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "service_unavailable"
    CUT = "cut"


class Twist(StrEnum):
    """What the answer says wrongly, while the ledger is right."""

    AMOUNT = "amount"
    CURRENCY = "currency"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A script for one request; times in milliseconds, `before_times` None means always."""

    verdict: Verdict = Verdict.SUCCEED
    decline: str | None = None
    before: Fault | None = None
    before_times: int | None = None
    held_ms: int = 0
    slow_ms: int = 0
    after: Fault | None = None
    twist: Twist | None = None
    resolves_ms: int | None = None
    resolves_decline: str | None = None

    @property
    def is_transport_only(self) -> bool:
        """Whether the processor's own answer stays what it would be."""
        return self.verdict is Verdict.SUCCEED and self.twist is None


OK = Behaviour()


def _no(code: str) -> Behaviour:
    return Behaviour(verdict=Verdict.DECLINE, decline=code)


_NAMED: dict[str, Behaviour] = {
    "ok": OK,
    "decline_soft": _no("try_again_later"),
    "decline_hard": _no("do_not_honor"),
    "stolen": _no("stolen_card"),
    "lost_answer": Behaviour(after=Fault.CUT),
    "500_before": Behaviour(before=Fault.INTERNAL),
    "500_after": Behaviour(after=Fault.INTERNAL),
    "rate_limited": Behaviour(before=Fault.RATE_LIMITED),
    "unavailable": Behaviour(before=Fault.UNAVAILABLE),
    "wrong_amount": Behaviour(twist=Twist.AMOUNT),
    "wrong_currency": Behaviour(twist=Twist.CURRENCY),
    "wrong_reference": Behaviour(twist=Twist.REFERENCE),
    "pending": Behaviour(verdict=Verdict.PENDING),
    "action_required": Behaviour(verdict=Verdict.ACTION),
}
_NUMBERED = re.compile(r"([a-z0-9_]*?[a-z])_([0-9]{1,6})")
_BY_AMOUNT: dict[int, str] = {
    1: "decline_soft",
    2: "decline_insufficient_funds",
    3: "decline_hard",
    4: "stolen",
    5: "lost_answer",
    6: "500_before",
    7: "500_after",
    8: "rate_limited",
    9: "pending",
    10: "action_required",
    11: "wrong_amount",
}
BY_AMOUNT = "by_amount"


@lru_cache(maxsize=PARSED_MAX)
def behaviour_named(name: str) -> Behaviour | None:
    """Return the behaviour of a name (a token without `tok_` and label), None if unknown."""
    if name in _NAMED:
        return _NAMED[name]
    if card_script_of(f"tok_{name}"):  # what it does, it does in 3-D Secure
        return OK
    code = name.removeprefix("decline_")
    if code != name and code in DECLINES:
        return _no(code)
    parsed = _NUMBERED.fullmatch(name)
    return _numbered(parsed[1], int(parsed[2])) if parsed else None


def behaviour_of(token: str, amount: int) -> Behaviour | None:
    """Return what a token does to an amount in minor units, None if it is not in the table."""
    name, _, _label = token.partition(".")
    if not name.startswith("tok_"):
        return None
    name = name[4:]
    if name == BY_AMOUNT:
        name = _BY_AMOUNT.get(amount % 100, "ok")
    return behaviour_named(name)


def _numbered(stem: str, number: int) -> Behaviour | None:
    if stem == "slow" and number <= SLOW_MAX_MS:
        return Behaviour(slow_ms=number)
    if stem == "held" and number <= HELD_MAX_S:
        return Behaviour(held_ms=number * 1000)
    if stem == "pending" and number <= PENDING_MAX_S:
        return Behaviour(verdict=Verdict.PENDING, resolves_ms=number * 1000)
    if stem == "pending_decline" and number <= PENDING_MAX_S:
        return Behaviour(
            verdict=Verdict.PENDING,
            resolves_ms=number * 1000,
            resolves_decline="generic_decline",
        )
    limited = stem in {"500_before", "rate_limited", "unavailable"}
    if limited and 1 <= number <= TIMES_MAX:
        return replace(_NAMED[stem], before_times=number)
    return None
