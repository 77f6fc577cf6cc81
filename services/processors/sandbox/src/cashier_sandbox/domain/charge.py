"""A charge and what hangs on it, as values: a change makes a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cashier_sandbox.domain.declines import EXPIRED


class Status(StrEnum):
    """Where a charge, a refund or a payout stands."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    EXPIRED = "expired"
    VOIDED = "voided"


class Event(StrEnum):
    """What moves a charge."""

    SUCCEED = "succeed"
    AUTHORIZE = "authorize"
    DECLINE = "decline"
    CAPTURE_LAST = "capture_last"
    RELEASE_ALL = "release_all"
    EXPIRE = "expire"
    PAY_LATE = "pay_late"


S, E = Status, Event
TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (S.PENDING, E.SUCCEED): S.SUCCEEDED,
    (S.PENDING, E.AUTHORIZE): S.AUTHORIZED,
    (S.PENDING, E.DECLINE): S.DECLINED,
    (S.REQUIRES_ACTION, E.SUCCEED): S.SUCCEEDED,
    (S.REQUIRES_ACTION, E.AUTHORIZE): S.AUTHORIZED,
    (S.REQUIRES_ACTION, E.DECLINE): S.DECLINED,
    (S.REQUIRES_ACTION, E.RELEASE_ALL): S.VOIDED,
    (S.REQUIRES_ACTION, E.EXPIRE): S.EXPIRED,
    (S.EXPIRED, E.PAY_LATE): S.SUCCEEDED,  # a shop took a voucher all the same
    (S.AUTHORIZED, E.CAPTURE_LAST): S.SUCCEEDED,
    (S.AUTHORIZED, E.RELEASE_ALL): S.VOIDED,
}
UNRESOLVED = {S.PENDING, S.REQUIRES_ACTION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A part of an authorization that was taken."""

    id: str
    amount: int
    reference: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Money asked of a payer; amounts in minor units of `currency`."""

    id: str
    status: Status
    amount: int
    currency: str
    token: str
    reference: str
    capture: bool
    metadata: Mapping[str, str]
    created_at: str
    decline: str | None = None
    amount_captured: int = 0
    amount_voided: int = 0
    amount_refunded: int = 0
    amount_refund_pending: int = 0
    amount_charged_back: int = 0
    fee: int = 0
    captures: tuple[Capture, ...] = ()
    intent: str = ""

    @property
    def capturable(self) -> int:
        """What is authorized and neither captured nor released."""
        if self.status is not Status.AUTHORIZED:
            return 0
        return self.amount - self.amount_captured - self.amount_voided

    @property
    def refundable(self) -> int:
        """What was captured and neither given back nor taken back."""
        gone = self.amount_refunded + self.amount_refund_pending + self.amount_charged_back
        return self.amount_captured - gone

    def moved_by(self, event: Event) -> Charge:
        """Return the charge in its next status; KeyError where the table has none."""
        return replace(self, status=TRANSITIONS[self.status, event])

    def with_capture(self, capture: Capture, *, fee: int, final: bool) -> Charge:
        """Return the charge with one more capture; the last one ends the authorization."""
        taken = replace(
            self,
            amount_captured=self.amount_captured + capture.amount,
            captures=(*self.captures, capture),
            fee=self.fee + fee,
        )
        if not final and taken.capturable > 0:
            return taken
        released = replace(taken, amount_voided=taken.amount_voided + taken.capturable)
        return released.moved_by(Event.CAPTURE_LAST)

    def without_rest(self) -> Charge:
        """Return the charge with what is left of it released."""
        if self.status is Status.REQUIRES_ACTION:
            return self.moved_by(Event.RELEASE_ALL)
        released = replace(self, amount_voided=self.amount_voided + self.capturable)
        ending = Event.CAPTURE_LAST if self.amount_captured else Event.RELEASE_ALL
        return released.moved_by(ending)

    def resolved(self, *, code: str | None, fee: int) -> Charge:
        """Return the charge with the answer that it waited for; a code means no."""
        if code is not None:
            event = Event.EXPIRE if code == EXPIRED else Event.DECLINE
            return replace(self.moved_by(event), decline=code)
        if not self.capture:
            return self.moved_by(Event.AUTHORIZE)
        event = Event.PAY_LATE if self.status is Status.EXPIRED else Event.SUCCEED
        paid = replace(self.moved_by(event), decline=None)
        return replace(paid, amount_captured=self.amount, fee=fee)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money given back for a charge; `external` when the merchant did not ask by API."""

    id: str
    status: Status
    charge: str
    amount: int
    currency: str
    reference: str
    metadata: Mapping[str, str]
    created_at: str
    decline: str | None = None
    external: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """Money sent to a customer."""

    id: str
    status: Status
    amount: int
    currency: str
    destination: str
    reference: str
    metadata: Mapping[str, str]
    created_at: str
    decline: str | None = None
    fee: int = 0


Resource = Charge | Refund | Payout
