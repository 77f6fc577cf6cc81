"""The operation's states as a literal, and the payment's state as a function of its operations.

The table is money-safety.md, section 2, line by line.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from cashier_common.statetable import StateTable


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
TABLES = (OPERATION,)

# The request may be on its way, or the answer is not known: nothing else may start.
UNRESOLVED = frozenset(
    {S.CREATED, S.SUBMITTING, S.PENDING, S.IN_DOUBT, S.MANUAL_REVIEW, S.CONFLICTED}
)
DOUBTFUL = frozenset({S.IN_DOUBT, S.MANUAL_REVIEW, S.CONFLICTED})
# The gate: a second rail opens after these and after nothing else.
OPENS_NEXT_RAIL = frozenset({S.NOT_SENT, S.DECLINED_SOFT, S.NOT_FOUND})


class OperationFacts(Protocol):
    """What the payment's state depends on."""

    @property
    def state(self) -> OperationState:
        """Where the operation stands."""


def payment_state(
    operations: Sequence[OperationFacts], *, captured: int, authorized: int, first: PaymentState
) -> PaymentState:
    """The payment's state from its operations and amounts; `first` is what risk left it in."""
    if not operations:
        return first
    states = [operation.state for operation in operations]
    if any(state in UNRESOLVED for state in states):
        return PaymentState.PROCESSING
    if S.ACTION_REQUIRED in states:
        return PaymentState.ACTION_REQUIRED
    if captured > 0:
        return PaymentState.SUCCEEDED
    if authorized > 0:
        return PaymentState.AUTHORIZED
    if states[-1] is S.EXPIRED:
        return PaymentState.CANCELED
    return PaymentState.FAILED
