"""Undoing what came about although its cancellation was asked for."""

from datetime import datetime

from cashier_common.money import Money
from cashier_router.domain.lifecycle import CLOSED, TAKES, UNRESOLVED, OperationKind, OperationState
from cashier_router.domain.opening import promised
from cashier_router.domain.payment import CANCELLATION, Direction, Operation, Payment

K, S = OperationKind, OperationState
# Tries of an undoing of one kind; then ListInDoubt shows the payment until somebody saw to it.
TRIES_MAX = 3


def release(payment: Payment, changed: Operation, at: datetime) -> tuple[Operation, ...]:
    """What the cancellation opens now that something which takes money has ended.

    What it took is given back, what is still held is voided. Money that was captured before the
    cancellation was asked for stays where it is: giving that back is a refund, another wish.
    """
    if changed.reason == CANCELLATION:
        return _again(payment, changed, at)
    ended = changed.kind in TAKES and changed.state in CLOSED | {S.SUCCEEDED}
    carrier, asset = payment.carrier, payment.amount.asset
    if not ended or carrier is None or payment.direction is Direction.PAYOUT:
        return ()
    opened: list[Operation] = []
    took = changed.kind is K.CAPTURE or payment.captures_at_once
    given = min(changed.amount.minor, payment.amounts.refundable)
    if changed.state is S.SUCCEEDED and took and given > 0:
        back = promised(payment, K.REFUND, changed, Money(given, asset), at, reason=CANCELLATION)
        opened.append(back)
    # Rails release all that is left at once, so whatever takes money and ends last lets it go.
    under_way = any(o.kind in TAKES and o.state in UNRESOLVED for o in payment.operations)
    if payment.amounts.capturable > 0 and not under_way:
        amount = Money(payment.amounts.capturable, asset)
        void = promised(
            payment, K.VOID, carrier, amount, at, reason=CANCELLATION, after=len(opened)
        )
        opened.append(void)
    return tuple(opened)


def _again(payment: Payment, failed: Operation, at: datetime) -> tuple[Operation, ...]:
    """The same once more where the rail proved that nothing happened; after that, a person."""
    tries = sum(o.reason == CANCELLATION and o.kind is failed.kind for o in payment.operations)
    if failed.state not in (S.NOT_SENT, S.NOT_FOUND) or tries >= TRIES_MAX:
        return ()
    amounts = payment.amounts
    left = amounts.capturable if failed.kind is K.VOID else amounts.refundable
    if failed.target is None or not 0 < failed.amount.minor <= left:
        return ()
    target = payment.operation(failed.target)
    return (promised(payment, failed.kind, target, failed.amount, at, reason=CANCELLATION),)


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
