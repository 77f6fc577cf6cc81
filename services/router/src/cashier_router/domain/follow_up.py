"""Captures, cancellations and refunds: what a wish about a payment becomes, as pure functions."""

from dataclasses import replace
from datetime import datetime

from cashier_common.money import Money
from cashier_router.domain.commands import CancelPayment, CapturePayment, FollowUp, RefundPayment
from cashier_router.domain.lifecycle import (
    TAKES,
    UNRESOLVED,
    OperationKind,
    OperationState,
    PaymentState,
)
from cashier_router.domain.opening import Step, judged, promised
from cashier_router.domain.payment import CaptureMethod, Direction, Operation, Payment
from cashier_router.domain.refusals import (
    AmountAssetDiffers,
    AmountNotAvailable,
    OperationsExhausted,
    PaymentStateRefused,
)
from cashier_router.domain.release import taken_by

# Captures, refunds and overrides together: every change reads them all, so there is an end.
OPERATIONS_MAX = 256

K, S = OperationKind, OperationState


def plan(payment: Payment, command: FollowUp, at: datetime) -> tuple[Payment, Step, int | None]:
    """The payment with what the command opens, its step, and the number of the new operation.

    None where nothing has to be sent: the wish is only written down. Raises a Refusal.
    """
    match command:
        case CapturePayment():
            return _capture(payment, command, at)
        case CancelPayment():
            return _cancel(payment, command, at)
        case RefundPayment():
            return _refund(payment, command, at)
    raise TypeError(f"no follow-up: {type(command).__name__}")


def _capture(
    payment: Payment, command: CapturePayment, at: datetime
) -> tuple[Payment, Step, int | None]:
    carrier = payment.carrier
    if payment.capture_method is CaptureMethod.AUTOMATIC or payment.direction is Direction.PAYOUT:
        raise _refused(payment, "captured", "only a payment with manual capture is")
    if payment.cancel_requested:
        raise _refused(payment, "captured", "its cancellation was asked for")
    if carrier is None:
        raise _refused(payment, "captured", "it has to be authorized first")
    available = payment.amounts.capturable
    amount = _amount(payment, command.amount, available, "captured")
    operation = promised(payment, K.CAPTURE, carrier, amount, at, reason="")
    last = amount.minor == available and payment.amounts.capture_reserved == 0
    if command.final or last:
        operation = replace(operation, final=True, release_minor=available - amount.minor)
    return opened(payment, operation, "CAPTURE", "", at)


def _refund(
    payment: Payment, command: RefundPayment, at: datetime
) -> tuple[Payment, Step, int | None]:
    if payment.direction is Direction.PAYOUT:
        raise _refused(payment, "refunded", "a payout has nothing to give back")
    source = taken_by(payment)
    if source is None or payment.amounts.captured == 0:
        raise _refused(payment, "refunded", "nothing was captured; cancel it instead")
    amount = _amount(payment, command.amount, payment.amounts.refundable, "refunded")
    operation = promised(payment, K.REFUND, source, amount, at, reason=command.reason)
    return opened(payment, operation, "REFUND", command.reason, at)


def _cancel(
    payment: Payment, command: CancelPayment, at: datetime
) -> tuple[Payment, Step, int | None]:
    wished = replace(payment, cancel_requested=True)
    if payment.state is PaymentState.CANCELED:
        return _noted(payment, "CANCEL_REPEATED", command.reason, at)
    if payment.state is PaymentState.IN_REVIEW:
        return _noted(wished, "CANCEL", command.reason, at)
    if payment.direction is Direction.PAYOUT:
        raise _refused(payment, "canceled", "a payout that was sent cannot be called back")
    waiting = next((o for o in payment.primary if o.state is S.ACTION_REQUIRED), None)
    if waiting is not None and not _under_way(payment):
        operation = promised(wished, K.VOID, waiting, waiting.amount, at, reason=command.reason)
        return opened(wished, operation, "CANCEL", command.reason, at)
    if any(o.state in UNRESOLVED for o in payment.operations if o.kind in TAKES):
        return _noted(wished, "CANCEL_REQUESTED", command.reason, at)
    left, carrier = payment.amounts.capturable, payment.carrier
    if carrier is None or left <= 0:
        way_out = (
            "its money was taken; refund it" if payment.amounts.captured else "nothing is held"
        )
        raise _refused(payment, "canceled", way_out)
    whole = payment.amounts.captured == 0
    base = wished if whole else payment
    amount = Money(left, payment.amount.asset)
    operation = promised(base, K.VOID, carrier, amount, at, reason=command.reason)
    return opened(base, operation, "CANCEL", command.reason, at)


def _under_way(payment: Payment) -> bool:
    return any(o.state in UNRESOLVED for o in payment.operations if o.kind is K.VOID)


def _amount(payment: Payment, asked: Money | None, available: int, wish: str) -> Money:
    asset = payment.amount.asset
    if asked is not None and asked.asset != asset:
        raise AmountAssetDiffers(
            field="amount.asset_code", value=asked.asset, payment=payment.name, asset=asset
        )
    minor = available if asked is None else asked.minor
    if not 0 < minor <= available:
        raise AmountNotAvailable(
            payment=payment.name, wish=wish, asked=minor, available=available, asset=asset
        )
    return Money(minor, asset)


def opened(
    payment: Payment, operation: Operation, action: str, reason: str, at: datetime
) -> tuple[Payment, Step, int]:
    """The payment with one more operation that somebody asked for; OperationsExhausted."""
    if len(payment.operations) >= OPERATIONS_MAX:
        raise OperationsExhausted(payment=payment.name, limit=OPERATIONS_MAX)
    added = replace(payment, operations=(*payment.operations, operation))
    step = Step(action, payment.state.name, operation.number, reason)
    return judged(added, operation, at), step, operation.number


def _noted(
    payment: Payment, action: str, reason: str, at: datetime
) -> tuple[Payment, Step, int | None]:
    return judged(payment, None, at), Step(action, payment.state.name, None, reason), None


def _refused(payment: Payment, wish: str, way_out: str) -> PaymentStateRefused:
    return PaymentStateRefused(
        payment=payment.name, state=payment.state.value, wish=wish, way_out=way_out
    )
