"""How a payment moves: risk's word, a rail's answer and the next rail, as pure functions."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cashier_common.money import Money
from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.lifecycle import (
    OPENS_NEXT_RAIL,
    OPERATION,
    PRIMARY,
    Amounts,
    OperationEvent,
    OperationKind,
    OperationState,
    PaymentState,
)
from cashier_router.domain.opening import Step, attempt, judged
from cashier_router.domain.payment import Failure, Operation, Payment, SettlementTerms
from cashier_router.domain.release import release
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
    first = PaymentState.FAILED
    chosen: Candidate | None = None
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
        chosen = decision.plan[0]
    payment = Payment(
        name=command.payment, merchant=command.merchant,
        merchant_reference=command.merchant_reference, direction=command.direction,
        amount=command.amount, capture_method=command.capture_method, terms=command.terms,
        state=first, first_state=first, assessment=assessment.name, decision=decision,
        failure=failure, operations=(), amounts=Amounts(), version=0,
        traceparent=actor_trace, create_time=at, update_time=at,
        origin_payment=command.origin_payment,
    )  # fmt: skip
    if chosen is not None:
        payment = replace(payment, operations=(attempt(payment, chosen.rail, chosen.account, at),))
    payment = judged(payment, None, at)
    action = "SUBMIT" if chosen else payment.state.name
    return payment, Step(action, "", 1 if chosen else None, assessment.detail)


def answer(
    payment: Payment, number: int, outcome: Outcome, *, at: datetime, may_go_on: bool
) -> tuple[Payment, Step]:
    """The payment after a rail's answer, with the next rail opened where the gate allows it.

    Raises TransitionRefused for an event that the table does not have.
    """
    operation = payment.operation(number)
    event = _contradiction(operation, outcome) or outcome.event
    changed = _answered(operation, event, outcome, at)
    step = Step(event.name, operation.state.name, number, outcome.detail)
    moved = payment.with_operation(changed)
    if changed.kind is OperationKind.VOID and changed.state is OperationState.SUCCEEDED:
        moved = _closed(moved, changed, at)
    if may_go_on and changed.kind in PRIMARY and changed.state in OPENS_NEXT_RAIL:
        following = next_candidate(moved)
        if following is not None:
            added = attempt(moved, following.rail, following.account, at)
            moved = replace(moved, operations=(*moved.operations, added))
    after = judged(moved, changed, at)
    undoing = release(after, changed, at) if moved.cancel_requested else ()
    if undoing:
        after = judged(replace(moved, operations=(*moved.operations, *undoing)), changed, at)
    return after, step


def next_candidate(payment: Payment) -> Candidate | None:
    """The next account of the plan that was not tried, within the budget of attempts."""
    tries = payment.primary
    if payment.decision is None or payment.cancel_requested or len(tries) >= ATTEMPTS_MAX:
        return None
    tried = {operation.account for operation in tries}
    return next((c for c in payment.decision.plan if c.account not in tried), None)


def _answered(
    operation: Operation, event: OperationEvent, outcome: Outcome, at: datetime
) -> Operation:
    state = OPERATION.next(operation.state, event)
    return replace(
        operation, state=state, update_time=at, asks=0,
        processor_reference=outcome.processor_reference or operation.processor_reference,
        processor_code=outcome.processor_code or operation.processor_code,
        decline_meaning=outcome.decline_meaning or operation.decline_meaning,
        next_action=outcome.next_action if state is OperationState.ACTION_REQUIRED else None,
        settlement=outcome.settlement or operation.settlement,
    )  # fmt: skip


def _closed(payment: Payment, void: Operation, at: datetime) -> Payment:
    """What a void did to a try that had not ended: closed, or to be asked about again."""
    if void.target is None:
        return payment
    target = payment.operation(void.target)
    event = {
        OperationState.ACTION_REQUIRED: OperationEvent.EXPIRE,
        OperationState.PENDING: OperationEvent.LOSE_TRACK,
    }.get(target.state)
    if event is None:
        return payment
    state = OPERATION.next(target.state, event)
    return payment.with_operation(
        replace(target, state=state, next_action=None, asks=0, update_time=at)
    )


def _contradiction(operation: Operation, outcome: Outcome) -> OperationEvent | None:
    """CONTRADICT when a success is about another amount, asset or account than we asked for."""
    if outcome.event is not OperationEvent.SUCCEED:
        return None
    other_amount = outcome.amount is not None and outcome.amount != operation.amount
    other_account = bool(outcome.account) and outcome.account != operation.account
    return OperationEvent.CONTRADICT if other_amount or other_account else None
