"""What a rail tells after its answer: money taken back, disputes, successes that come too late."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cashier_common.errors import TransitionRefused
from cashier_common.money import Money
from cashier_router.domain.amounts import Problem, problem_of
from cashier_router.domain.dispute import NEWS_MAX, Dispute, DisputeNews, Effect, heard_of
from cashier_router.domain.lifecycle import (
    CLOSED,
    DOUBTFUL,
    OPERATION,
    OperationEvent,
    OperationKind,
    OperationState,
)
from cashier_router.domain.opening import DisputeChange, Step, judged, promised
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome, answer
from cashier_router.domain.questions import evidence

# More disputes about one payment than schemes know stages; a further one is kept as evidence.
DISPUTES_MAX = 32

K, S, E = OperationKind, OperationState, OperationEvent


class News(StrEnum):
    """What a rail's later word is about."""

    OUTCOME = "outcome"  # of the operation itself
    TAKEN_BACK = "taken_back"  # the rail undid what it had done
    DISPUTE = "dispute"
    UNKNOWN = "unknown"  # a word that this version does not know: evidence, never a transition


@dataclass(frozen=True, slots=True)
class Later:
    """A rail's later word about one operation."""

    news: News
    number: int
    outcome: Outcome
    reversal_reference: str = ""
    dispute: DisputeNews | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it. `incident` is a sentence where a person must know."""

    payment: Payment
    step: Step
    incident: str = ""


def hear(payment: Payment, later: Later, at: datetime) -> Heard:
    """The payment after a rail's later word; what its table does not allow is kept as evidence."""
    match later.news:
        case News.TAKEN_BACK:
            return _taken_back(payment, later, at)
        case News.DISPUTE if later.dispute is not None:
            return _disputed(payment, later, later.dispute, at)
        case News.OUTCOME:
            return _outcome(payment, later, at)
    return _kept(payment, later, at, "OUTCOME_KEPT_AS_EVIDENCE", incident="a word we do not know")


def keep(payment: Payment, later: Later, at: datetime) -> Heard:
    """The payment with the word in its record, and unchanged beside that."""
    return _kept(payment, later, at, "OUTCOME_KEPT_AS_EVIDENCE")


def _outcome(payment: Payment, later: Later, at: datetime) -> Heard:
    operation = payment.operation(later.number)
    told = replace(later.outcome, event=evidence(operation.state, later.outcome.event))
    try:
        # The customer of a late answer is gone: no further rail opens from here.
        after, step = answer(payment, later.number, told, at=at, may_go_on=False)
    except TransitionRefused:
        pass
    else:
        return Heard(after, step)
    event = later.outcome.event
    agrees = operation.state in CLOSED and event in _DID_NOTHING
    if agrees or event is E.LOSE_TRACK or (operation.state, event) in _REPEATS:
        return _kept(payment, later, at, "OUTCOME_REPEATED")
    if operation.state in CLOSED and event is E.SUCCEED:
        return _too_late(payment, later, operation, at)
    if operation.state in DOUBTFUL and event in (E.ACCEPT, E.ASK_CUSTOMER):
        return keep(payment, later, at)  # it is there: the doubt stays until its answer comes
    incident = f"{event.name} while {operation.state.name}"
    return _kept(payment, later, at, "OUTCOME_KEPT_AS_EVIDENCE", incident=incident)


def _too_late(payment: Payment, later: Later, operation: Operation, at: datetime) -> Heard:
    """It happened although we had said no: given back at once, or a person must look at it."""
    undone = any(o.kind is K.REVERSAL and o.target == later.number for o in payment.operations)
    if undone or _was_voided(payment, operation):
        return _kept(payment, later, at, "OUTCOME_REPEATED")
    found = payment.with_operation(
        replace(
            operation,
            processor_reference=later.outcome.processor_reference or operation.processor_reference,
        )
    )
    amount = later.outcome.amount or operation.amount
    reversal = promised(found, K.REVERSAL, operation, amount, at, reason="late success")
    incident = f"{operation.kind.name} succeeded after {operation.state.name}: given back"
    if operation.kind not in (K.AUTHORIZE, K.CAPTURE):
        # Money that went to a customer, or a hold that is gone, cannot be called back by us.
        state = OPERATION.next(OPERATION.initial, E.ESCALATE)
        reversal = replace(reversal, state=state)
        incident = f"{operation.kind.name} succeeded after {operation.state.name}: see to it"
    opened = replace(found, operations=(*found.operations, reversal))
    step = Step("LATE_SUCCESS", operation.state.name, reversal.number, incident)
    return Heard(judged(opened, None, at), step, incident)


def _was_voided(payment: Payment, operation: Operation) -> bool:
    """Whether its hold was let go before we heard that there was one."""
    return not payment.captures_at_once and any(
        o.kind is K.VOID and o.target == operation.number and o.state is S.SUCCEEDED
        for o in payment.operations
    )


def _taken_back(payment: Payment, later: Later, at: datetime) -> Heard:
    target = payment.operation(later.number)
    reference = later.reversal_reference
    for known in payment.operations:
        told_before = known.kind is K.REVERSAL and known.target == later.number
        if told_before and known.processor_reference == reference:
            return _kept(payment, later, at, "OUTCOME_REPEATED")
    amount = later.outcome.amount or target.amount
    if target.state is not S.SUCCEEDED or amount.asset != payment.amount.asset:
        incident = f"taken back {amount.minor} {amount.asset} while {target.state.name}"
        return _kept(payment, later, at, "OUTCOME_KEPT_AS_EVIDENCE", incident=incident)
    reversal = replace(
        promised(payment, K.REVERSAL, target, amount, at, reason=later.outcome.detail),
        state=OPERATION.next(OPERATION.initial, E.TAKE_BACK),
        processor_reference=reference,
        processor_code=later.outcome.processor_code,
        settlement=later.outcome.settlement,
    )
    opened = replace(payment, operations=(*payment.operations, reversal))
    step = Step("TAKE_BACK", target.state.name, reversal.number, later.outcome.detail)
    return Heard(judged(opened, None, at), step, "" if _fits(payment, target, amount) else _EXCEEDS)


def _disputed(payment: Payment, later: Later, news: DisputeNews, at: datetime) -> Heard:
    """The payment with what a processor told of a dispute, put in its place among all of it."""
    others = [d for d in payment.disputes if not _same(d, news)]
    earlier = next((d for d in payment.disputes if _same(d, news)), None)
    kept = "OUTCOME_KEPT_AS_EVIDENCE"
    if earlier is None and len(others) >= DISPUTES_MAX:
        return _kept(payment, later, at, kept, incident="too many disputes")
    if earlier is not None and news.told not in earlier.told and len(earlier.told) >= NEWS_MAX:
        return _kept(payment, later, at, kept, incident="too much news of one dispute")
    whole = Money(payment.operation(later.number).amount.minor, payment.amount.asset)
    told, effect = heard_of(earlier, news, whole)
    if told == earlier:
        return _kept(payment, later, at, "OUTCOME_REPEATED")
    place = payment.disputes.index(earlier) if earlier else len(others)
    disputes = (*others[:place], told, *others[place:])
    after = judged(replace(payment, disputes=disputes), None, at)
    step = Step(
        _DISPUTE_ACTIONS[effect] if earlier else "DISPUTE_OPENED",
        earlier.standing.name if earlier else "", later.number,
        f"{told.processor_reference} {told.standing} {told.minor} {told.asset} "
        f"{told.reason_code}: {news.told.detail or effect}",
        dispute=DisputeChange(
            name=payment.dispute_name(told),
            withdrawn=told.withdrawn_sum - (earlier.withdrawn_sum if earlier else 0),
            returned=told.returned_sum - (earlier.returned_sum if earlier else 0),
            lost=told.lost - (earlier.lost if earlier else 0),
            at=news.told.at,
        ),
    )  # fmt: skip
    return Heard(after, step, _dispute_incident(after, told, effect))


def _same(dispute: Dispute, news: DisputeNews) -> bool:
    return (dispute.processor_reference, dispute.account) == (
        news.processor_reference, news.account,
    )  # fmt: skip


def _dispute_incident(payment: Payment, dispute: Dispute, effect: Effect) -> str:
    problem = problem_of(payment, dispute)
    if problem is Problem.EXCEEDS_PAYMENT:
        return _EXCEEDS
    if problem is not None:
        return f"dispute {dispute.processor_reference} holds nothing: {problem}"
    if effect is Effect.REFUSED:
        return f"dispute {dispute.processor_reference} is {dispute.standing}: what came cannot be"
    return ""


_EXCEEDS = "more was taken back than was left: the customer has some of it twice"


def _fits(payment: Payment, target: Operation, amount: Money) -> bool:
    return target.kind is K.REFUND or amount.minor <= payment.amounts.refundable


def _kept(
    payment: Payment, later: Later, at: datetime, action: str, *, incident: str = ""
) -> Heard:
    state = payment.operation(later.number).state
    detail = f"{later.outcome.event.name} while {state.name}: {later.outcome.detail}"
    kept = replace(payment, version=payment.version + 1, update_time=at)
    return Heard(kept, Step(action, state.name, later.number, detail), incident)


_DISPUTE_ACTIONS = {
    Effect.MOVED: "DISPUTE_CHANGED",
    Effect.REPEATED: "DISPUTE_REPEATED",
    Effect.PASSED: "DISPUTE_KEPT_AS_EVIDENCE",
    Effect.REFUSED: "DISPUTE_KEPT_AS_EVIDENCE",
}
# Words that agree that nothing happened.
_DID_NOTHING = frozenset({E.FAIL_UNSENT, E.PROVE_ABSENT, E.EXPIRE, E.DECLINE_HARD, E.DECLINE_SOFT})
# A state, and the word that only repeats it.
_REPEATS = {
    (S.SUCCEEDED, E.SUCCEED),
    (S.PENDING, E.ACCEPT),
    (S.ACTION_REQUIRED, E.ASK_CUSTOMER),
}
