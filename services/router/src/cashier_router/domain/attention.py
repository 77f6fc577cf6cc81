"""Why a person must look at a payment: what no rule of ours can settle is listed, never lost."""

from enum import StrEnum

from cashier_router.domain.amounts import misplaced, withdrawn
from cashier_router.domain.lifecycle import DOUBTFUL, OperationKind, OperationState
from cashier_router.domain.payment import CANCELLATION, Payment


class Attention(StrEnum):
    """One reason."""

    OUTCOME_UNKNOWN = "outcome_unknown"
    UNDOING_FAILED = "undoing_failed"
    REFUND_BOUNCED = "refund_bounced"
    DISPUTE_EXCEEDS = "dispute_exceeds"
    DISPUTE_MISPLACED = "dispute_misplaced"


def attention(payment: Payment) -> tuple[Attention, ...]:
    """Every reason that holds now; it goes when what it is about was seen to."""
    waiting = [o for o in payment.operations if payment.needs_person(o)]
    reasons = {
        Attention.OUTCOME_UNKNOWN: any(o.state in DOUBTFUL for o in waiting),
        Attention.UNDOING_FAILED: any(o.state not in DOUBTFUL for o in waiting),
        Attention.REFUND_BOUNCED: _bounced(payment),
        Attention.DISPUTE_EXCEEDS: withdrawn(payment) > payment.amounts.disputed,
        Attention.DISPUTE_MISPLACED: any(misplaced(payment, d) for d in payment.disputes),
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def _bounced(payment: Payment) -> bool:
    """Whether a cancellation gave money back, the bank returned it, and nobody has since."""
    if not payment.cancel_requested or payment.amounts.refundable <= 0:
        return False
    return any(
        o.kind is OperationKind.REVERSAL
        and o.state is OperationState.SUCCEEDED
        and o.target is not None
        and payment.operation(o.target).kind is OperationKind.REFUND
        and payment.operation(o.target).reason == CANCELLATION
        for o in payment.operations
    )
