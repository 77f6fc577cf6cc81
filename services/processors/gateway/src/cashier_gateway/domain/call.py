"""One call to a processor: what was asked for, by which operation, and what became of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cashier_common.ids import downstream_key
from cashier_common.money import Money
from cashier_gateway.domain.lifecycle import CALL, Event, State
from cashier_gateway.domain.outcome import Outcome
from cashier_gateway.domain.payer import Payer

# Raised when a field joins or leaves the fingerprint; the first byte of each stored one.
FINGERPRINT_VERSION = 2


class Kind(StrEnum):
    """What an operation asks of its processor; the decline maps name their rows by these words."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for beside amount and account: enough to send it again without the caller.

    `target` is the operation that a capture, void or refund acts on. The two references are the
    processor's, found in our rows: of the root authorization, and of the target itself.
    """

    kind: Kind
    token: str = ""
    capture: bool = False
    method: str = ""
    merchant_reference: str = ""
    statement_descriptor: str = ""
    return_url: str = ""
    customer_id: str = ""
    customer_country: str = ""
    off_session: bool = False
    installments: int = 0  # 0: the issuer collects all of it at once
    target: str = ""
    authorization_reference: str = ""
    target_reference: str = ""
    final: bool = False
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields that say something, for the row; the token is never a card number."""
        facts = {name: getattr(self, name) for name in _REQUEST_FIELDS}
        return {name: value for name, value in facts.items() if value}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Request":
        """The request that `to_json` wrote."""
        return cls(**{**row, "kind": Kind(row["kind"])})


_REQUEST_FIELDS = tuple(field.name for field in fields(Request))
# What we find out ourselves is no part of what was asked.
_FOUND_FIELDS = frozenset({"authorization_reference", "target_reference"})
# Told only where it says something, so that every other request is the one that it was before.
_RARE_FIELDS = frozenset({"installments"})
_ASKED_FIELDS = tuple(name for name in _REQUEST_FIELDS if name not in _FOUND_FIELDS | _RARE_FIELDS)


@dataclass(frozen=True, slots=True)
class Command:
    """A moving method as it was parsed; `account` is empty where the target's row names it."""

    merchant: str
    operation: str
    account: str
    amount: Money
    request: Request
    expire_at: datetime | None = None
    payer: Payer | None = None

    @property
    def fingerprint(self) -> bytes:
        """A versioned SHA-256 over every field that the caller chose and that means something.

        `expire_at` means nothing: how long an answer is of use may differ between two tries. The
        payer is left out: who sends again after a crash may not know him any more, and the hash of
        a tax number is as good as the number.
        """
        told = [
            self.merchant, self.operation, self.account, self.amount.minor, self.amount.asset,
            *(getattr(self.request, name) for name in _ASKED_FIELDS),
        ]  # fmt: skip
        rare = {name: getattr(self.request, name) for name in sorted(_RARE_FIELDS)}
        told += [[name, value] for name, value in rare.items() if value]
        text = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
        return bytes([FINGERPRINT_VERSION]) + hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Call:
    """One row per operation. A tombstone of an operation that was never seen has no fingerprint.

    `reference` is the processor's own, known before the outcome where an intent was recorded.
    `version` counts the transitions; `lease_epoch` is the fencing token of whoever may write.
    `payer` is there until the outcome is known, and a day at the most.
    """

    merchant: str
    operation: str
    account: str
    amount: Money
    downstream_key: str
    state: State
    version: int
    lease_epoch: int
    fingerprint: bytes | None
    request: Request | None
    created_at: datetime
    expire_at: datetime | None = None
    reference: str = ""
    outcome: Outcome | None = None
    fenced: bool = False
    lapsed: bool = False
    traceparent: str = ""
    payer: Payer | None = None

    @property
    def moves_money(self) -> bool:
        """Whether a success settles: an authorization that only holds, and a void, do not."""
        request = self.request
        if request is None or request.kind is Kind.VOID:
            return False
        return request.capture or request.kind is not Kind.AUTHORIZE

    @classmethod
    def submitted(
        cls, command: Command, fingerprint: bytes, *, traceparent: str, at: datetime
    ) -> "Call":
        """The first row of an operation, before anything is sent."""
        return cls(
            merchant=command.merchant,
            operation=command.operation,
            account=command.account,
            amount=command.amount,
            downstream_key=downstream_key(command.operation, command.account),
            state=CALL.next(State.ABSENT, Event.SUBMIT),
            version=1,
            lease_epoch=1,
            fingerprint=fingerprint,
            request=command.request,
            created_at=at,
            expire_at=command.expire_at,
            traceparent=traceparent,
            payer=command.payer,
        )

    @classmethod
    def tombstone(
        cls,
        *,
        merchant: str,
        operation: str,
        account: str,
        amount: Money,
        traceparent: str,
        at: datetime,
    ) -> "Call":
        """The row that fences an operation which this rail has not seen."""
        return cls(
            merchant=merchant,
            operation=operation,
            account=account,
            amount=amount,
            downstream_key=downstream_key(operation, account),
            state=CALL.next(State.ABSENT, Event.FENCE),
            version=1,
            lease_epoch=1,
            fingerprint=None,
            request=None,
            created_at=at,
            fenced=True,
            traceparent=traceparent,
        )

    def advanced(self, event: Event, outcome: Outcome, reference: str) -> "Call":
        """The call after an answer; TransitionRefused where the table has no such step."""
        return replace(
            self,
            state=CALL.next(self.state, event),
            version=self.version + 1,
            outcome=outcome,
            reference=reference or self.reference,
        )

    def fenced_off(self) -> "Call":
        """The call after a tombstone: the epoch moves on, so no earlier owner writes again."""
        return replace(
            self,
            state=CALL.next(self.state, Event.FENCE),
            version=self.version + 1,
            lease_epoch=self.lease_epoch + 1,
            fenced=True,
        )
