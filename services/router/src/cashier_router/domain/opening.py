"""Opening operations, and judging a payment anew after each change."""

from dataclasses import dataclass, replace
from datetime import datetime

from cashier_common.money import Money
from cashier_router.domain.amounts import amounts_of
from cashier_router.domain.lifecycle import (
    OPERATION,
    PRIMARY,
    OperationEvent,
    OperationKind,
    OperationState,
    PaymentState,
    payment_state,
)
from cashier_router.domain.payment import Direction, Failure, Operation, Payment

# In these the payment has no failure to explain.
_WELL = frozenset({PaymentState.SUCCEEDED, PaymentState.AUTHORIZED})


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a payment, for the append-only record."""

    action: str
    before: str
    operation: int | None  # number of the operation that it is about
    detail: str = ""
    decided_by: "Deciding | None" = None
    dispute: "DisputeChange | None" = None


@dataclass(frozen=True, slots=True)
class DisputeChange:
    """What ledgers have to add for a dispute; negative where earlier steps had said too much."""

    name: str  # `payments/…/disputes/dis_…`
    withdrawn: int
    returned: int
    lost: int
    at: datetime  # when the processor says that it happened


@dataclass(frozen=True, slots=True)
class Deciding:
    """An operator's decision, as the audit record keeps it."""

    operator: str
    reason: str
    proof: str


def attempt(payment: Payment, rail: str, account: str, at: datetime) -> Operation:
    """One more try of the payment itself, promised to this account."""
    is_payout = payment.direction is Direction.PAYOUT
    return Operation(
        number=len(payment.operations) + 1,
        kind=OperationKind.PAYOUT if is_payout else OperationKind.AUTHORIZE,
        state=OPERATION.next(OPERATION.initial, OperationEvent.SUBMIT),
        rail=rail, account=account, amount=payment.amount, create_time=at, update_time=at,
    )  # fmt: skip


def promised(
    payment: Payment,
    kind: OperationKind,
    target: Operation,
    amount: Money,
    at: datetime,
    *,
    reason: str,
    after: int = 0,
) -> Operation:
    """An operation on what `target` did, promised to the account that did it.

    `after` is how many others the same change opens before it.
    """
    return Operation(
        number=len(payment.operations) + 1 + after, kind=kind,
        state=OPERATION.next(OPERATION.initial, OperationEvent.SUBMIT),
        rail=target.rail, account=target.account, amount=amount, create_time=at, update_time=at,
        target=target.number, reason=reason,
    )  # fmt: skip


def judged(payment: Payment, changed: Operation | None, at: datetime) -> Payment:
    """The payment with amounts and state computed anew; `changed` explains a failure."""
    amounts = amounts_of(payment)
    state = payment_state(
        payment.operations, amounts=amounts, first=payment.first_state,
        cancel_requested=payment.cancel_requested,
    )  # fmt: skip
    failure = payment.failure
    if state is PaymentState.FAILED and changed is not None and changed.kind in PRIMARY:
        failure = Failure(
            meaning=changed.decline_meaning or changed.state.name,
            processor_code=changed.processor_code,
            message=f"{changed.account} answered {changed.state.value.replace('_', ' ')}",
            retryable_by_customer=changed.state is not OperationState.DECLINED_HARD,
        )
    elif state in _WELL:
        failure = None
    return replace(
        payment, state=state, amounts=amounts, failure=failure, version=payment.version + 1,
        update_time=at,
    )  # fmt: skip
