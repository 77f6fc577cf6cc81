"""Authentications: begin one, ask the issuer, show a challenge, conclude it now or by its timer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cashier_sandbox.domain.authentication import (
    FINAL,
    Authentication,
    Due,
    Finding,
    TransStatus,
    stable_uuid,
)
from cashier_sandbox.domain.card_script import CardScript, Case
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.domain.issuer import answer_of, finding, twisted
from cashier_sandbox.domain.script import Behaviour
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.perform import Done, Order, perform
from cashier_sandbox.flows.refusals import Code, Refused

# An ACS's patience by EMV 3DS 2.2 §5.5: for the first CReq, and for the cardholder on the page.
FIRST_CREQ_MS = 30_000
INACTIVITY_MS = 600_000
MINUTE_MS = 60_000
TIMED_OUT_REASON, FAILED_REASON, NOT_PERFORMED_REASON = "14", "01", "26"
# challengeCancel → why, as transStatusReason says it.
_REASON: dict[str, str] = {"01": "", "03": NOT_PERFORMED_REASON, "06": "22"}
S = TransStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a result says: EMV's transStatus, transStatusReason and challengeCancel."""

    status: TransStatus
    reason: str = ""
    cancel: str = ""


APPROVED = Verdict(status=S.AUTHENTICATED)
FAILED = Verdict(status=S.DENIED, reason=FAILED_REASON)
CANCELLED = Verdict(status=S.DENIED, cancel="01")


def cancelled(code: str) -> Verdict:
    """Return the verdict of a challenge that ended with a cancel code."""
    reason = _REASON.get(code, TIMED_OUT_REASON)
    return Verdict(status=S.DENIED, reason=reason, cancel=code)


async def begin(desk: Desk, order: Order, card: str) -> Done:
    """Give a card's authentication its threeDSServerTransID; nothing is asked yet."""

    def effect(_: Behaviour) -> Draft:
        name = stable_uuid(desk.seed, desk.account.name, "server", order.key)
        detail = {"fingerprint": order.fingerprint, "card": card}
        return _draft(desk, Kind.AUTHENTICATION, name, detail, key=order.key)

    return await perform(desk, order, effect)


async def ask(desk: Desk, order: Order, name: str, card: str, asked: Mapping[str, str]) -> Done:
    """Ask the issuer once (AReq) and keep the answer (ARes); refused where it was asked before."""

    def effect(_: Behaviour) -> Draft:
        before = found(desk, name)
        if before.answered:
            raise Refused(
                Code.STATE_REFUSED,
                f"authentication {name} was asked for before; begin another one",
                "threeDSServerTransID",
            )
        if before.card != card:
            raise Refused(
                Code.STATE_REFUSED,
                f"authentication {name} was begun for another card",
                "acctNumber",
            )
        script = before.script
        answered = answer_of(script, asked, name, tried_before=_tried_before(desk, before))
        due = _first_due(before, script, answered, asked)
        detail = {
            "fingerprint": order.fingerprint,
            "acs_id": stable_uuid(desk.seed, desk.account.name, "acs", name),
            "ds_id": stable_uuid(desk.seed, desk.account.name, "ds", name),
            "asked": dict(asked),
            "finding": answered.as_dict(),
            **({"due": due.as_dict()} if due else {}),
        }
        return _draft(desk, Kind.AUTHENTICATION_ASKED, name, detail, key=order.key)

    done = await perform(desk, order, effect)
    if not done.replayed:
        schedule(desk, name)
    return done


def open_challenge(desk: Desk, name: str, session_data: str) -> Authentication:
    """Take a CReq: the cardholder's browser is there, and the ACS waits for the cardholder."""
    before = found(desk, name)
    if not before.is_open or before.session_data is not None:
        return before
    detail: dict[str, Any] = {"step": "opened", "session_data": session_data}
    script = before.script
    if script.case is Case.CANCEL:
        detail["due"] = _due(before, cancelled(script.code), script.wait_ms).as_dict()
    else:
        detail["due"] = _due(before, cancelled("04"), INACTIVITY_MS).as_dict()
    desk.ledger.record(_draft(desk, Kind.AUTHENTICATION_STEP, name, detail))
    schedule(desk, name)
    return found(desk, name)


def answer_challenge(desk: Desk, name: str, verdict: Verdict) -> Authentication:
    """Take what the cardholder chose, once: whoever comes second sees what was chosen first."""
    before = found(desk, name)
    if not before.is_open or before.shown:
        return before
    script, told = before.script, _finding(before, verdict)
    detail: dict[str, Any] = {"step": "answered", "shown": told.as_dict()}
    if script.case is Case.LATE:
        detail["due"] = Due(at_ms=_now_ms() + script.wait_ms, finding=told).as_dict()
    desk.ledger.record(_draft(desk, Kind.AUTHENTICATION_STEP, name, detail))
    if script.case is Case.LATE:
        schedule(desk, name)
        return found(desk, name)
    _conclude(desk, name, told)
    if script.case is Case.DUPLICATE:
        _conclude(desk, name, told)
    if script.case is Case.CONFLICT:
        other = FAILED if verdict.status is S.AUTHENTICATED else APPROVED
        _conclude(desk, name, _finding(before, other))
    return found(desk, name)


def conclude(desk: Desk, name: str, verdict: Verdict, *, again: bool) -> Authentication:
    """Let the issuer send a result (RReq); `again` sends one more after the first."""
    before = found(desk, name)
    if verdict.status not in FINAL:
        raise Refused(Code.INVALID_REQUEST, "a result is one of Y, A, N, R, U", "transStatus")
    if before.is_open == again:
        state = "waits for its result" if again else "does not wait for a result"
        raise Refused(Code.STATE_REFUSED, f"authentication {name} {state}", "again")
    if again and before.result is None:
        raise Refused(Code.STATE_REFUSED, f"authentication {name} has had no result", "again")
    _conclude(desk, name, _finding(before, verdict))
    return found(desk, name)


def found(desk: Desk, name: str) -> Authentication:
    """Return an authentication by its threeDSServerTransID."""
    authentication = desk.book.authentications.get(name)
    if authentication is None:
        raise not_found("authentication", name)
    return authentication


def schedule(desk: Desk, name: str) -> None:
    """Let happen by itself what is due, at its time, unless something else came before."""
    due = desk.book.authentications[name].due
    if due is None:
        return

    def fire() -> None:
        now = desk.book.authentications.get(name)
        if now and now.is_open and now.due == due:
            _conclude(desk, name, due.finding)

    delay_s = max(0, due.at_ms - _now_ms()) / 1000
    asyncio.get_running_loop().call_later(delay_s, fire)


def resume(desk: Desk) -> None:
    """Set the timers of everything that waits, as after a restart."""
    for name in desk.book.authentications:
        schedule(desk, name)


def _conclude(desk: Desk, name: str, told: Finding) -> None:
    detail = {"finding": told.as_dict()}
    desk.ledger.record(_draft(desk, Kind.AUTHENTICATION_RESULT, name, detail))


def _finding(authentication: Authentication, verdict: Verdict) -> Finding:
    script = authentication.script
    told = finding(
        verdict.status,
        script.scheme,
        authentication.id,
        reason=verdict.reason,
        cancel=verdict.cancel,
    )
    return twisted(told, script)


def _first_due(
    authentication: Authentication,
    script: CardScript,
    answered: Finding,
    asked: Mapping[str, str],
) -> Due | None:
    """What ends an open authentication that nobody touches."""
    if not answered.is_open:
        return None
    if answered.status == S.DECOUPLED:
        verdict = {
            Case.DECOUPLED_APPROVE: APPROVED,
            Case.DECOUPLED_DENY: FAILED,
        }.get(script.case, cancelled("03"))
        most_ms = int(asked["threeDSRequestorDecMaxTime"]) * MINUTE_MS
        waits = script.case is not Case.DECOUPLED
        return _due(authentication, verdict, min(script.wait_ms, most_ms) if waits else most_ms)
    if script.case is Case.CANCEL and script.code == "05":
        return _due(authentication, cancelled("05"), script.wait_ms)
    return _due(authentication, cancelled("05"), FIRST_CREQ_MS)


def _due(authentication: Authentication, verdict: Verdict, wait_ms: int) -> Due:
    return Due(at_ms=_now_ms() + wait_ms, finding=_finding(authentication, verdict))


def _tried_before(desk: Desk, authentication: Authentication) -> bool:
    if authentication.script.case not in {Case.UNAVAILABLE_ONCE, Case.ERROR_ONCE}:
        return False
    others = desk.book.authentications.values()
    return any(other.card == authentication.card and other.answered for other in others)


def _draft(
    desk: Desk, kind: Kind, name: str, detail: Mapping[str, Any], *, key: str | None = None
) -> Draft:
    return Draft(account=desk.account.name, kind=kind, id=name, key=key, detail=detail)


def _now_ms() -> int:
    return int(time.time() * 1000)
