"""What a person's decision about a review makes of the payment that waited for it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cashier_router.domain.lifecycle import PaymentState
from cashier_router.domain.opening import Step, attempt, judged
from cashier_router.domain.payment import Failure, Payment
from cashier_router.domain.routing import Decision


class Ruling(StrEnum):
    """What was decided."""

    APPROVED = "approved"
    DECLINED = "declined"
    OPEN = "open"  # claimed, escalated, waiting for a second person: nothing is decided


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A case as it was decided."""

    case: str
    ruling: Ruling


def after_review(
    payment: Payment, reviewed: Reviewed, decision: Decision | None, at: datetime
) -> tuple[Payment, Step]:
    """Rejected, or promised to the first account of `decision`, or failed without one.

    A payment that no longer waits (canceled, decided before) keeps the word as evidence.
    """
    before, told = payment.state.name, f"{reviewed.case} {reviewed.ruling.value}"
    if payment.state is not PaymentState.IN_REVIEW or reviewed.ruling is Ruling.OPEN:
        kept = replace(payment, version=payment.version + 1, update_time=at)
        return kept, Step("REVIEW_NOTED", before, None, told)
    if reviewed.ruling is Ruling.DECLINED:
        failure = Failure("RISK_DECLINED", "REVIEW_DECLINED", "declined after a review", False)  # noqa: FBT003
        rejected = replace(payment, first_state=PaymentState.REJECTED, failure=failure)
        return judged(rejected, None, at), Step("REVIEW_DECLINED", before, None, told)
    going = replace(payment, first_state=PaymentState.FAILED, decision=decision)
    if decision is None or not decision.plan:
        failure = Failure("NO_ELIGIBLE_ACCOUNT", "", "no account may take this payment", False)  # noqa: FBT003
        failed = replace(going, failure=failure)
        return judged(failed, None, at), Step("REVIEW_APPROVED", before, None, told)
    first = decision.plan[0]
    opened = replace(going, operations=(attempt(going, first.rail, first.account, at),))
    return judged(opened, None, at), Step("REVIEW_APPROVED", before, 1, told)
