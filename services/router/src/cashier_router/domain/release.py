"""Undoing what succeeded although its cancellation was asked for."""

from datetime import datetime

from cashier_common.money import Money
from cashier_router.domain.lifecycle import OperationKind, OperationState
from cashier_router.domain.opening import promised
from cashier_router.domain.payment import Direction, Operation, Payment


def release(payment: Payment, at: datetime) -> Operation | None:
    """What is still held, voided; else what was taken, given back; None where nothing is left."""
    carrier, asset = payment.carrier, payment.amount.asset
    if carrier is None or payment.direction is Direction.PAYOUT:
        return None
    if payment.amounts.capturable > 0:
        amount = Money(payment.amounts.capturable, asset)
        return promised(payment, OperationKind.VOID, carrier, amount, at, reason="cancellation")
    if payment.amounts.refundable > 0:
        amount = Money(payment.amounts.refundable, asset)
        source = taken_by(payment) or carrier
        return promised(payment, OperationKind.REFUND, source, amount, at, reason="cancellation")
    return None


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
