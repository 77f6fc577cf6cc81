"""What one event of the router says about an operation, as far as books care."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cashier_recon.domain.lifecycle import ExpectationEvent


class OperationKind(StrEnum):
    AUTHORIZE = "AUTHORIZE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"
    PAYOUT = "PAYOUT"
    REVERSAL = "REVERSAL"
    UNKNOWN = "UNKNOWN"  # of a router that is newer than we are


class Leg(StrEnum):
    """What a statement line must be about to settle an operation."""

    CHARGE = "CHARGE"
    REFUND = "REFUND"
    PAYOUT = "PAYOUT"
    REVERSAL = "REVERSAL"
    DISPUTE = "DISPUTE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFact:
    """An operation after a step. `amount` in minor units as the router says it, never signed."""

    shard: int
    position: int
    at: datetime
    merchant: str
    payment: str
    operation: str
    kind: OperationKind
    state: str
    rail: str
    processor_account: str
    processor_reference: str
    amount: int
    asset: str
    captures: bool
    """An authorization that takes the money with it."""
    pays_out: bool
    """The payment's direction is to the customer."""
    fee_schedule_version: str
    expected_fee: int | None
    due_time: datetime | None
    traceparent: str

    @property
    def source(self) -> str:
        """Where it came from, for the journal."""
        return f"events/{self.shard}/{self.position}"


_LEGS = {
    OperationKind.AUTHORIZE: Leg.CHARGE,
    OperationKind.CAPTURE: Leg.CHARGE,
    OperationKind.REFUND: Leg.REFUND,
    OperationKind.PAYOUT: Leg.PAYOUT,
    OperationKind.REVERSAL: Leg.REVERSAL,
}
_EVENTS = {
    "PENDING": ExpectationEvent.PEND,
    "IN_DOUBT": ExpectationEvent.LOSE_TRACK,
    "MANUAL_REVIEW": ExpectationEvent.LOSE_TRACK,
    "CONFLICTED": ExpectationEvent.LOSE_TRACK,
    "SUCCEEDED": ExpectationEvent.BOOK,
    "DECLINED_HARD": ExpectationEvent.DECLINE,
    "DECLINED_SOFT": ExpectationEvent.DECLINE,
    "NOT_SENT": ExpectationEvent.DECLINE,
    "NOT_FOUND": ExpectationEvent.DECLINE,
    "EXPIRED": ExpectationEvent.DECLINE,
}


def leg_of(kind: OperationKind) -> Leg | None:
    """The leg that settles an operation of this kind; None for a void, which moves nothing."""
    return _LEGS.get(kind)


def expectation_event(fact: PaymentFact) -> ExpectationEvent | None:
    """What the fact means for the expectation; None for states on the way and unknown ones."""
    event = _EVENTS.get(fact.state)
    if event is None or fact.kind is OperationKind.VOID:
        return None
    if (
        event is ExpectationEvent.BOOK
        and fact.kind is OperationKind.AUTHORIZE
        and not fact.captures
    ):
        return ExpectationEvent.RELEASE
    return event


def moved(fact: PaymentFact) -> int:
    """The signed amount that the processor's statement will show: positive is to our side."""
    if fact.kind in {OperationKind.REFUND, OperationKind.PAYOUT}:
        return -fact.amount
    if fact.kind is OperationKind.REVERSAL:
        return fact.amount if fact.pays_out else -fact.amount
    return fact.amount
