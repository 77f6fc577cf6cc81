"""What a payment's operations and disputes add up to.

It is computed anew at every change and never kept by hand, so that an operation that ends without
effect frees what it had reserved.
"""

from enum import StrEnum

from cashier_router.domain.dispute import Dispute
from cashier_router.domain.lifecycle import (
    HOLDING,
    Amounts,
    OperationKind,
    OperationState,
)
from cashier_router.domain.payment import Operation, Payment

K, S = OperationKind, OperationState


class Problem(StrEnum):
    """Why a dispute holds nothing of the payment: it is about money that we do not hold so."""

    NOT_CAPTURED = "not_captured"
    OTHER_ASSET = "other_asset"
    OTHER_ACCOUNT = "other_account"
    EXCEEDS_PAYMENT = "exceeds_payment"  # it holds what is left


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
    """What disputes keep away of this payment now, however much is there for them."""
    return sum(d.away for d in payment.disputes if misplaced(payment, d) is None)


def misplaced(payment: Payment, dispute: Dispute) -> Problem | None:
    """Why the dispute cannot be about money that this payment took; None where it can.

    It is asked anew at every change: what is not captured today may turn out to have been.
    """
    target = payment.operation(dispute.target)
    if dispute.account and dispute.account != target.account:
        return Problem.OTHER_ACCOUNT
    if dispute.asset != payment.amount.asset:
        return Problem.OTHER_ASSET
    took = target.kind is K.CAPTURE or (target.kind is K.AUTHORIZE and payment.captures_at_once)
    if target.kind is K.AUTHORIZE and not payment.captures_at_once:
        # Processors that know one charge for all of its captures name the authorization.
        took = any(
            o.kind is K.CAPTURE and o.target == target.number and o.state is S.SUCCEEDED
            for o in payment.operations
        )
    return None if took and target.state is S.SUCCEEDED else Problem.NOT_CAPTURED


def problem_of(payment: Payment, dispute: Dispute) -> Problem | None:
    """What a person must look at about the dispute; None where nothing is wrong."""
    found = misplaced(payment, dispute)
    if found is None and dispute.away and withdrawn(payment) > payment.amounts.disputed:
        return Problem.EXCEEDS_PAYMENT
    return found


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
