"""What a payment's operations and disputes add up to.

It is computed anew at every change and never kept by hand, so that an operation that ends without
effect frees what it had reserved.
"""

from cashier_router.domain.lifecycle import (
    HOLDING,
    Amounts,
    OperationKind,
    OperationState,
)
from cashier_router.domain.payment import Operation, Payment

# A dispute in one of these no longer keeps the money away.
RETURNED = frozenset({"won", "canceled"})

K, S = OperationKind, OperationState


def amounts_of(payment: Payment) -> Amounts:
    """The sums. Of what we did ourselves nothing is cut off: the table's CHECKs refuse too much.

    A rail may take back more than is there (a chargeback after a refund). That is cut at the
    bound, so that it can be recorded at all; the excess is told by the step and reconciliation.
    """
    done = [o for o in payment.operations if o.state is S.SUCCEEDED]
    held = [o for o in payment.operations if o.state in HOLDING]
    authorized = _sum(done, K.AUTHORIZE) + _sum(done, K.PAYOUT)
    captured = _sum(done, K.CAPTURE) + _sum(done, K.PAYOUT)
    if payment.captures_at_once:
        captured += _sum(done, K.AUTHORIZE)
    refunded = max(_sum(done, K.REFUND) - _reversed(payment, done, of_refunds=True), 0)
    refund_reserved = _sum(held, K.REFUND)
    left = captured - refunded - refund_reserved
    taken_back = min(_reversed(payment, done, of_refunds=False), max(left, 0))
    return Amounts(
        authorized=authorized,
        captured=captured,
        capture_reserved=_sum(held, K.CAPTURE) + _released(payment, held),
        refunded=refunded + taken_back,
        refund_reserved=refund_reserved,
        disputed=min(withdrawn(payment), max(left - taken_back, 0)),
        voided=_released(payment, done),
    )


def withdrawn(payment: Payment) -> int:
    """What disputes keep away now, however much is there for them."""
    return sum(d.minor for d in payment.disputes if d.funds_withdrawn and d.state not in RETURNED)


def _sum(operations: list[Operation], kind: OperationKind) -> int:
    return sum(o.amount.minor for o in operations if o.kind is kind)


def _released(payment: Payment, operations: list[Operation]) -> int:
    """What voids and final captures let go.

    A void of what never succeeded, or took its money at once, lets nothing go.
    """
    total = sum(o.release_minor for o in operations if o.kind is K.CAPTURE)
    if payment.captures_at_once:
        return total
    for void in operations:
        if void.kind is K.VOID and void.target is not None:
            target = payment.operation(void.target)
            total += void.amount.minor if target.state is S.SUCCEEDED else 0
    return total


def _reversed(payment: Payment, done: list[Operation], *, of_refunds: bool) -> int:
    """What reversals took back of what our books have: of refunds, or of money that was taken."""
    total = 0
    for reversal in done:
        if reversal.kind is not K.REVERSAL or reversal.target is None:
            continue
        target = payment.operation(reversal.target)
        if target.state is not S.SUCCEEDED or target.kind is K.VOID:
            continue
        if (target.kind is K.REFUND) is of_refunds:
            total += reversal.amount.minor
    return total
