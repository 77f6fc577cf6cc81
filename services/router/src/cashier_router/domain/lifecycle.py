"""The operation's states as a literal, and the payment's state as a function of its operations.

The table is money-safety.md, section 2, line by line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cashier_common.statetable import StateTable
from cashier_router.domain.authentication.lifecycle import AUTHENTICATION
from cashier_router.domain.standing import DISPUTE


class OperationKind(StrEnum):
    """What an operation does."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    PAYOUT = "payout"
    REVERSAL = "reversal"


class OperationState(StrEnum):
    """Where one try on one rail stands."""

    CREATED = "created"
    SUBMITTING = "submitting"
    SUCCEEDED = "succeeded"
    DECLINED_HARD = "declined_hard"
    DECLINED_SOFT = "declined_soft"
    NOT_SENT = "not_sent"
    PENDING = "pending"
    ACTION_REQUIRED = "action_required"
    IN_DOUBT = "in_doubt"
    NOT_FOUND = "not_found"
    EXPIRED = "expired"
    MANUAL_REVIEW = "manual_review"
    CONFLICTED = "conflicted"


class OperationEvent(StrEnum):
    """What can happen to an operation."""

    SUBMIT = "submit"
    SUCCEED = "succeed"
    DECLINE_HARD = "decline_hard"
    DECLINE_SOFT = "decline_soft"
    FAIL_UNSENT = "fail_unsent"
    ACCEPT = "accept"
    ASK_CUSTOMER = "ask_customer"
    LOSE_TRACK = "lose_track"
    PROVE_ABSENT = "prove_absent"
    EXPIRE = "expire"
    ESCALATE = "escalate"
    CONTRADICT = "contradict"
    TAKE_BACK = "take_back"


class PaymentState(StrEnum):
    """Where a payment stands."""

    IN_REVIEW = "in_review"
    ACTION_REQUIRED = "action_required"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELED = "canceled"


S, E = OperationState, OperationEvent
OPERATION = StateTable(
    name="operation",
    initial=S.CREATED,
    transitions={
        (S.CREATED, E.SUBMIT): S.SUBMITTING,
        # A reversal begins where somebody else already acted: a rail took money back by itself,
        # or something happened that no rail can undo for us.
        (S.CREATED, E.TAKE_BACK): S.SUCCEEDED,
        (S.CREATED, E.ESCALATE): S.MANUAL_REVIEW,
        (S.SUBMITTING, E.SUCCEED): S.SUCCEEDED,
        (S.SUBMITTING, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.SUBMITTING, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.SUBMITTING, E.FAIL_UNSENT): S.NOT_SENT,
        (S.SUBMITTING, E.ACCEPT): S.PENDING,
        (S.SUBMITTING, E.ASK_CUSTOMER): S.ACTION_REQUIRED,
        (S.SUBMITTING, E.LOSE_TRACK): S.IN_DOUBT,
        (S.SUBMITTING, E.CONTRADICT): S.CONFLICTED,
        (S.ACTION_REQUIRED, E.SUCCEED): S.SUCCEEDED,
        (S.ACTION_REQUIRED, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.ACTION_REQUIRED, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.ACTION_REQUIRED, E.ACCEPT): S.PENDING,
        (S.ACTION_REQUIRED, E.LOSE_TRACK): S.IN_DOUBT,
        (S.ACTION_REQUIRED, E.EXPIRE): S.EXPIRED,
        (S.ACTION_REQUIRED, E.CONTRADICT): S.CONFLICTED,
        (S.PENDING, E.SUCCEED): S.SUCCEEDED,
        (S.PENDING, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.PENDING, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.PENDING, E.LOSE_TRACK): S.IN_DOUBT,
        (S.PENDING, E.CONTRADICT): S.CONFLICTED,
        (S.IN_DOUBT, E.SUCCEED): S.SUCCEEDED,  # only evidence leaves this state
        (S.IN_DOUBT, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.IN_DOUBT, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.IN_DOUBT, E.PROVE_ABSENT): S.NOT_FOUND,
        (S.IN_DOUBT, E.ESCALATE): S.MANUAL_REVIEW,
        (S.IN_DOUBT, E.CONTRADICT): S.CONFLICTED,
        (S.MANUAL_REVIEW, E.SUCCEED): S.SUCCEEDED,
        (S.MANUAL_REVIEW, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.MANUAL_REVIEW, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.MANUAL_REVIEW, E.PROVE_ABSENT): S.NOT_FOUND,
        (S.MANUAL_REVIEW, E.CONTRADICT): S.CONFLICTED,
        (S.CONFLICTED, E.SUCCEED): S.SUCCEEDED,
        (S.CONFLICTED, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.CONFLICTED, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.CONFLICTED, E.PROVE_ABSENT): S.NOT_FOUND,
    },
)
TABLES = (OPERATION, DISPUTE, AUTHENTICATION)

# The request may be on its way, or the answer is not known: nothing else may start.
UNRESOLVED = frozenset(
    {S.CREATED, S.SUBMITTING, S.PENDING, S.IN_DOUBT, S.MANUAL_REVIEW, S.CONFLICTED}
)
# What holds its amount: it may have happened, or still may.
HOLDING = UNRESOLVED | {S.ACTION_REQUIRED}
DOUBTFUL = frozenset({S.IN_DOUBT, S.MANUAL_REVIEW, S.CONFLICTED})
# The gate: a second rail opens after these and after nothing else.
OPENS_NEXT_RAIL = frozenset({S.NOT_SENT, S.DECLINED_SOFT, S.NOT_FOUND})


# Operations that carry the payment itself; the others act on what these have done.
PRIMARY = frozenset({OperationKind.AUTHORIZE, OperationKind.PAYOUT})
# What takes money; a cancellation that was asked for undoes the success of one of these.
TAKES = PRIMARY | {OperationKind.CAPTURE}
# No rail did it: what is found there afterwards has to be given back.
CLOSED = frozenset({S.DECLINED_HARD, S.DECLINED_SOFT, S.NOT_SENT, S.NOT_FOUND, S.EXPIRED})


class OperationFacts(Protocol):
    """What the payment's state depends on."""

    @property
    def state(self) -> OperationState:
        """Where the operation stands."""

    @property
    def kind(self) -> OperationKind:
        """What it does."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a payment's operations add up to, in minor units of its asset."""

    authorized: int = 0
    captured: int = 0
    capture_reserved: int = 0
    refunded: int = 0
    refund_reserved: int = 0
    disputed: int = 0
    voided: int = 0

    @property
    def capturable(self) -> int:
        """What may still be captured or released."""
        return self.authorized - self.captured - self.capture_reserved - self.voided

    @property
    def refundable(self) -> int:
        """What may still be given back."""
        return self.captured - self.refunded - self.refund_reserved - self.disputed


def payment_state(
    operations: Sequence[OperationFacts],
    *,
    amounts: Amounts,
    first: PaymentState,
    cancel_requested: bool,
) -> PaymentState:
    """The payment's state from its operations; `first` is what risk left it in."""
    if not operations:
        return PaymentState.CANCELED if cancel_requested else first
    if any(_holds_up(operation) for operation in operations):
        return PaymentState.PROCESSING
    tries = [operation.state for operation in operations if operation.kind in PRIMARY]
    if S.ACTION_REQUIRED in tries:
        return PaymentState.ACTION_REQUIRED
    if amounts.captured > 0:
        given_back = cancel_requested and amounts.refunded == amounts.captured
        return PaymentState.CANCELED if given_back else PaymentState.SUCCEEDED
    if amounts.authorized > amounts.voided:
        return PaymentState.AUTHORIZED
    if amounts.authorized > 0 or cancel_requested or tries[-1] is S.EXPIRED:
        return PaymentState.CANCELED
    return PaymentState.FAILED


def _holds_up(operation: OperationFacts) -> bool:
    """Whether the payment is under way because of this operation.

    A refund that the rail accepted leaves the payment what it is: money was taken. A reversal
    never moves the state: it may follow a payment whose reference the merchant has used again.
    """
    if operation.kind is OperationKind.REVERSAL:
        return False
    if operation.kind is OperationKind.REFUND and operation.state is S.PENDING:
        return False
    return operation.state in UNRESOLVED
