"""A payment and its operations, as values."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cashier_common import ids
from cashier_common.money import Money
from cashier_router.domain.dispute import Dispute
from cashier_router.domain.instrument import Instrument
from cashier_router.domain.lifecycle import (
    CLOSED,
    DOUBTFUL,
    PRIMARY,
    Amounts,
    OperationKind,
    OperationState,
    PaymentState,
)
from cashier_router.domain.routing import Decision

# Reason of what a cancellation opens by itself.
CANCELLATION = "cancellation"
_MOVING = frozenset({PaymentState.PROCESSING, PaymentState.ACTION_REQUIRED, PaymentState.IN_REVIEW})


class CaptureMethod(StrEnum):
    """When the money of an authorization is taken."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Direction(StrEnum):
    """Which way the money goes."""

    PAYMENT = "payment"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class Terms:
    """What was asked for beside the amount, without personal data: enough to send it again."""

    instrument: Instrument
    customer_id: str
    customer_country: str
    customer_subdivision: str
    customer_tags: tuple[str, ...]
    device_fingerprint: str
    session_hash: str
    metadata: dict[str, str]
    statement_descriptor: str
    return_url: str
    jurisdiction: str
    merchant_category_code: str
    off_session: bool
    installments: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment did not go through."""

    meaning: str
    processor_code: str
    message: str
    retryable_by_customer: bool


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """What should settle for an operation, frozen when the rail answered."""

    fee_schedule_version: str
    expected_fee_minor: int
    due_time: datetime


@dataclass(frozen=True, slots=True)
class Operation:
    """One try on one rail.

    `target` is the number of the operation that it acts on; `release_minor` is what a final
    capture lets go beside what it takes. `lease_epoch` is the fencing token of whoever sends it.
    """

    number: int
    kind: OperationKind
    state: OperationState
    rail: str
    account: str
    amount: Money
    create_time: datetime
    update_time: datetime
    processor_reference: str = ""
    processor_code: str = ""
    decline_meaning: str = ""
    next_action: bytes | None = None  # serialized by the codec; the domain only carries it
    settlement: SettlementTerms | None = None
    asks: int = 0  # how often the janitor asked about it in this state
    target: int | None = None
    final: bool = False
    release_minor: int = 0
    reason: str = ""
    lease_epoch: int = 1

    @property
    def undoes(self) -> bool:
        """Whether we opened it ourselves, so that no merchant is there to see it fail."""
        return self.kind is OperationKind.REVERSAL or self.reason == CANCELLATION


@dataclass(frozen=True, slots=True)
class Payment:
    """What the customer wants, and how far it has come."""

    name: str
    merchant: str
    merchant_reference: str
    direction: Direction
    amount: Money
    capture_method: CaptureMethod
    terms: Terms
    state: PaymentState
    first_state: PaymentState  # what risk left it in
    assessment: str
    decision: Decision | None
    failure: Failure | None
    operations: tuple[Operation, ...]
    amounts: Amounts
    version: int
    traceparent: str
    create_time: datetime
    update_time: datetime
    cancel_requested: bool = False
    origin_payment: str = ""
    disputes: tuple[Dispute, ...] = ()

    @property
    def in_doubt(self) -> bool:
        """Whether an outcome is unknown, or money lies where it should not and nobody moves it."""
        return any(self.needs_person(operation) for operation in self.operations)

    def needs_person(self, operation: Operation) -> bool:
        """Whether nobody knows what became of it, or an undoing did not come about.

        An undoing that was opened again is judged by its last try.
        """
        if operation.state in DOUBTFUL:
            return True
        if operation.state not in CLOSED or not operation.undoes:
            return False
        later = self.operations[operation.number :]
        return not any(
            o.undoes and (o.kind, o.target) == (operation.kind, operation.target) for o in later
        )

    @property
    def submitting(self) -> tuple[Operation, ...]:
        """The operations that are promised and have no answer yet."""
        return tuple(o for o in self.operations if o.state is OperationState.SUBMITTING)

    @property
    def primary(self) -> tuple[Operation, ...]:
        """The tries of the payment itself, oldest first."""
        return tuple(o for o in self.operations if o.kind in PRIMARY)

    @property
    def carrier(self) -> Operation | None:
        """The try that succeeded: what captures, voids and refunds act on."""
        for operation in self.operations:
            if operation.kind in PRIMARY and operation.state is OperationState.SUCCEEDED:
                return operation
        return None

    @property
    def captures_at_once(self) -> bool:
        """Whether the money is taken with the authorization."""
        return self.capture_method is CaptureMethod.AUTOMATIC

    @property
    def rests(self) -> bool:
        """Whether a caller has nothing to wait for: no request is on its way."""
        return not self.submitting

    @property
    def is_final(self) -> bool:
        """Whether nothing but a new wish of the merchant's moves it."""
        return self.state not in _MOVING

    @property
    def etag(self) -> str:
        """Changes with every version."""
        return hashlib.sha256(f"{self.name}@{self.version}".encode()).hexdigest()[:16]

    def operation(self, number: int) -> Operation:
        """The operation with this number, from 1."""
        return self.operations[number - 1]

    def has(self, number: int) -> bool:
        """Whether there is an operation with this number."""
        return 0 < number <= len(self.operations)

    def with_operation(self, changed: Operation) -> "Payment":
        """The payment with one operation replaced."""
        operations = list(self.operations)
        operations[changed.number - 1] = changed
        return replace(self, operations=tuple(operations))

    def dispute_name(self, dispute: Dispute) -> str:
        """`payments/…/disputes/dis_…`."""
        return dispute_name(self.name, dispute)

    def operation_name(self, number: int) -> str:
        """`payments/…/operations/{n}`."""
        return ids.operation_name(self.name, number)


def dispute_name(payment: str, dispute: Dispute) -> str:
    """`payments/…/disputes/dis_…`: one for each reference of each account."""
    parts = dispute.account, dispute.processor_reference
    return ids.derived_name(f"{payment}/disputes", "dis", *parts)
