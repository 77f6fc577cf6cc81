"""A payment and its operations, as values."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import orjson

from cashier_common import ids
from cashier_common.money import Money
from cashier_router.domain.instrument import Instrument
from cashier_router.domain.lifecycle import DOUBTFUL, OperationState, PaymentState
from cashier_router.domain.routing import Decision

# Version of the fingerprint's recipe: a change of the recipe must not turn a replay into a refusal.
FINGERPRINT_VERSION = b"create-payment/1\0"


_MOVING = frozenset({PaymentState.PROCESSING, PaymentState.ACTION_REQUIRED, PaymentState.IN_REVIEW})


class CaptureMethod(StrEnum):
    """When the money of an authorization is taken."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Direction(StrEnum):
    """Which way the money goes."""

    PAYMENT = "payment"
    PAYOUT = "payout"


class OperationKind(StrEnum):
    """What an operation does."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    PAYOUT = "payout"
    REVERSAL = "reversal"


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


@dataclass(frozen=True, slots=True)
class CreatePayment:
    """The command: what a merchant asks for under one idempotency key.

    `payment` is the name of the payment that it makes, and no other; `fingerprint` is the SHA-256
    over every field that means something, amount and asset included.
    """

    merchant: str
    key: str
    merchant_reference: str
    amount: Money
    capture_method: CaptureMethod
    terms: Terms
    payment: str = field(init=False)
    fingerprint: bytes = field(init=False)

    def __post_init__(self) -> None:
        text = orjson.dumps(
            (self.merchant_reference, self.amount, self.capture_method, self.terms),
            option=orjson.OPT_SORT_KEYS,
        )
        digest = hashlib.sha256(FINGERPRINT_VERSION + text).digest()
        object.__setattr__(self, "payment", ids.payment_name(self.merchant, self.key))
        object.__setattr__(self, "fingerprint", digest)


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
    """One try on one rail."""

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
    asks: int = 0  # how often the janitor asked about it


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
    authorized_minor: int
    captured_minor: int
    refunded_minor: int
    disputed_minor: int
    voided_minor: int
    version: int
    lease_epoch: int
    traceparent: str
    create_time: datetime
    update_time: datetime

    @property
    def in_doubt(self) -> bool:
        """Whether an outcome is unknown."""
        return any(operation.state in DOUBTFUL for operation in self.operations)

    @property
    def submitting(self) -> Operation | None:
        """The operation that is promised and has no answer yet."""
        for operation in reversed(self.operations):
            if operation.state is OperationState.SUBMITTING:
                return operation
        return None

    @property
    def rests(self) -> bool:
        """Whether a caller has nothing to wait for: no request is on its way."""
        return self.submitting is None

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

    def with_operation(self, changed: Operation) -> "Payment":
        """The payment with one operation replaced."""
        operations = list(self.operations)
        operations[changed.number - 1] = changed
        return replace(self, operations=tuple(operations))

    def operation_name(self, number: int) -> str:
        """`payments/…/operations/{n}`."""
        return ids.operation_name(self.name, number)
