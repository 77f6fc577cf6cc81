"""Undoing what came about although its cancellation was asked for."""

from datetime import datetime

from cashier_common.money import Money
from cashier_router.domain.lifecycle import CLOSED, TAKES, OperationKind, OperationState
from cashier_router.domain.opening import promised
from cashier_router.domain.payment import Direction, Operation, Payment

K, S = OperationKind, OperationState


def release(payment: Payment, changed: Operation, at: datetime) -> tuple[Operation, ...]:
    """What the cancellation opens now that something which takes money has ended.

    What it took is given back, what is still held is voided. Money that was captured before the
    cancellation was asked for stays where it is: giving that back is a refund, another wish.
    """
    ended = changed.kind in TAKES and changed.state in CLOSED | {S.SUCCEEDED}
    carrier, asset = payment.carrier, payment.amount.asset
    if not ended or carrier is None or payment.direction is Direction.PAYOUT:
        return ()
    opened: list[Operation] = []
    took = changed.kind is K.CAPTURE or payment.captures_at_once
    given = min(changed.amount.minor, payment.amounts.refundable)
    if changed.state is S.SUCCEEDED and took and given > 0:
        back = promised(payment, K.REFUND, changed, Money(given, asset), at, reason=REASON)
        opened.append(back)
    if payment.amounts.capturable > 0:
        amount = Money(payment.amounts.capturable, asset)
        void = promised(payment, K.VOID, carrier, amount, at, reason=REASON, after=len(opened))
        opened.append(void)
    return tuple(opened)


REASON = "cancellation"


def taken_by(payment: Payment) -> Operation | None:
    """The operation that a refund names: the largest capture, or what carries the payment."""
    captures = [
        operation
        for operation in payment.operations
        if operation.kind is OperationKind.CAPTURE and operation.state is OperationState.SUCCEEDED
    ]
    if captures:
        return max(captures, key=lambda capture: (capture.amount.minor, -capture.number))
    return payment.carrier
