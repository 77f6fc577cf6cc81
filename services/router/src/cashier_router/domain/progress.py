"""How a payment moves: risk's word, a rail's answer and the next rail, as pure functions."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cashier_common.money import Money
from cashier_router.domain.lifecycle import (
    OPENS_NEXT_RAIL,
    OPERATION,
    OperationEvent,
    OperationState,
    PaymentState,
    payment_state,
)
from cashier_router.domain.payment import (
    CaptureMethod,
    CreatePayment,
    Direction,
    Failure,
    Operation,
    OperationKind,
    Payment,
    SettlementTerms,
)
from cashier_router.domain.routing import Candidate, Decision

# A payment is tried at so many accounts at the most: more tries look like card testing to issuers.
ATTEMPTS_MAX = 3


class RiskDecision(StrEnum):
    """What risk says."""

    FRICTIONLESS = "frictionless"
    STEP_UP = "step_up"
    REVIEW = "review"
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Risk's answer, as far as a payment needs it."""

    name: str
    decision: RiskDecision
    reason: str
    detail: str
    strict_accounts_only: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rail's answer about one operation. `None` amounts and empty texts were not said."""

    event: OperationEvent
    account: str = ""
    processor_reference: str = ""
    amount: Money | None = None
    processor_code: str = ""
    decline_meaning: str = ""
    next_action: bytes | None = None
    settlement: SettlementTerms | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a payment, for the append-only record."""

    action: str
    before: str
    operation: int | None  # number of the operation that it is about
    detail: str = ""


def begin(
    command: CreatePayment,
    assessment: Assessment,
    decision: Decision | None,
    *,
    actor_trace: str,
    at: datetime,
) -> tuple[Payment, Step]:
    """A new payment after risk spoke: rejected, in review, without an account, or sending."""
    failure: Failure | None = None
    operations: tuple[Operation, ...] = ()
    first = PaymentState.FAILED
    if assessment.decision is RiskDecision.DECLINE:
        first = PaymentState.REJECTED
        failure = Failure("RISK_DECLINED", assessment.reason, assessment.detail, False)  # noqa: FBT003
    elif assessment.decision in (RiskDecision.REVIEW, RiskDecision.STEP_UP):
        # Until authentication exists, a step-up has nowhere to go but to a person.
        first = PaymentState.IN_REVIEW
    elif decision is None or not decision.plan:
        failure = Failure(
            "NO_ELIGIBLE_ACCOUNT",
            "",
            "no processor account may take this payment",
            False,  # noqa: FBT003
        )
    else:
        operations = (_operation(1, decision.plan[0], command.amount, at),)
    state = payment_state(operations, captured=0, authorized=0, first=first)
    payment = Payment(
        name=command.payment, merchant=command.merchant,
        merchant_reference=command.merchant_reference, direction=Direction.PAYMENT,
        amount=command.amount, capture_method=command.capture_method, terms=command.terms,
        state=state, first_state=first, assessment=assessment.name, decision=decision,
        failure=failure, operations=operations, authorized_minor=0, captured_minor=0,
        refunded_minor=0, disputed_minor=0, voided_minor=0, version=1, lease_epoch=1,
        traceparent=actor_trace, create_time=at, update_time=at,
    )  # fmt: skip
    action = "SUBMIT" if operations else state.name
    return payment, Step(action, "", 1 if operations else None, assessment.detail)


def answer(
    payment: Payment, number: int, outcome: Outcome, *, at: datetime, may_go_on: bool
) -> tuple[Payment, Step]:
    """The payment after a rail's answer, with the next rail opened where the gate allows it.

    Raises TransitionRefused for an event that the table does not have.
    """
    operation = payment.operation(number)
    event = _contradiction(operation, outcome) or outcome.event
    state = OPERATION.next(operation.state, event)
    changed = replace(
        operation, state=state, update_time=at,
        processor_reference=outcome.processor_reference or operation.processor_reference,
        processor_code=outcome.processor_code or operation.processor_code,
        decline_meaning=outcome.decline_meaning or operation.decline_meaning,
        next_action=outcome.next_action if state is OperationState.ACTION_REQUIRED else None,
        settlement=outcome.settlement or operation.settlement,
    )  # fmt: skip
    step = Step(event.name, operation.state.name, number, outcome.detail)
    moved = _with_amounts(payment.with_operation(changed), changed)
    following = next_candidate(moved) if may_go_on and state in OPENS_NEXT_RAIL else None
    if following is not None:
        added = _operation(len(moved.operations) + 1, following, payment.amount, at)
        moved = replace(moved, operations=(*moved.operations, added))
    return _judged(moved, changed, at), step


def next_candidate(payment: Payment) -> Candidate | None:
    """The next account of the plan that was not tried, within the budget of attempts."""
    if payment.decision is None or len(payment.operations) >= ATTEMPTS_MAX:
        return None
    tried = {operation.account for operation in payment.operations}
    return next((c for c in payment.decision.plan if c.account not in tried), None)


def _judged(payment: Payment, changed: Operation, at: datetime) -> Payment:
    state = payment_state(
        payment.operations, captured=payment.captured_minor,
        authorized=payment.authorized_minor, first=payment.first_state,
    )  # fmt: skip
    failure = payment.failure
    if state is PaymentState.FAILED:
        failure = Failure(
            meaning=changed.decline_meaning or changed.state.name,
            processor_code=changed.processor_code,
            message=f"{changed.account} answered {changed.state.value.replace('_', ' ')}",
            retryable_by_customer=changed.state is not OperationState.DECLINED_HARD,
        )
    elif state is PaymentState.SUCCEEDED:
        failure = None
    return replace(
        payment, state=state, failure=failure, version=payment.version + 1, update_time=at
    )


def _with_amounts(payment: Payment, changed: Operation) -> Payment:
    if changed.kind is not OperationKind.AUTHORIZE or changed.state is not OperationState.SUCCEEDED:
        return payment
    captured = changed.amount.minor if payment.capture_method is CaptureMethod.AUTOMATIC else 0
    return replace(payment, authorized_minor=changed.amount.minor, captured_minor=captured)


def _contradiction(operation: Operation, outcome: Outcome) -> OperationEvent | None:
    """CONTRADICT when a success is about another amount, asset or account than we asked for."""
    if outcome.event is not OperationEvent.SUCCEED:
        return None
    other_amount = outcome.amount is not None and outcome.amount != operation.amount
    other_account = bool(outcome.account) and outcome.account != operation.account
    return OperationEvent.CONTRADICT if other_amount or other_account else None


def _operation(number: int, candidate: Candidate, amount: Money, at: datetime) -> Operation:
    return Operation(
        number=number, kind=OperationKind.AUTHORIZE,
        state=OPERATION.next(OPERATION.initial, OperationEvent.SUBMIT),
        rail=candidate.rail, account=candidate.account, amount=amount,
        create_time=at, update_time=at,
    )  # fmt: skip
