"""What an operator may decide about an operation, over name, reason and etag."""

from dataclasses import replace
from datetime import datetime

from cashier_common.errors import EtagMismatch, ResourceNotFound
from cashier_router.domain.commands import Override, ReplayOperation, ResolveInDoubt
from cashier_router.domain.follow_up import opened
from cashier_router.domain.lifecycle import (
    DOUBTFUL,
    HOLDING,
    OPENS_NEXT_RAIL,
    PRIMARY,
    TAKES,
    OperationEvent,
    OperationKind,
    OperationState,
)
from cashier_router.domain.opening import Deciding, Step, attempt, promised
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome, answer, next_candidate
from cashier_router.domain.refusals import (
    AmountNotAvailable,
    OperationStateRefused,
    PaymentStateRefused,
)

K, S = OperationKind, OperationState
# What a proof may say, and the event that it is.
RESOLUTIONS = {
    S.SUCCEEDED: OperationEvent.SUCCEED,
    S.DECLINED_HARD: OperationEvent.DECLINE_HARD,
    S.NOT_FOUND: OperationEvent.PROVE_ABSENT,
}


def subject(payment: Payment, command: Override) -> Operation:
    """The operation that the operator means, as he saw it; a Refusal where it has changed."""
    if not payment.has(command.number):
        raise ResourceNotFound(name=payment.operation_name(command.number))
    if command.etag != payment.etag:
        raise EtagMismatch(name=payment.name)
    operation = payment.operation(command.number)
    if isinstance(command, ReplayOperation):
        _require_replayable(payment, operation)
    elif operation.state not in DOUBTFUL:
        raise _state_refused(payment, operation, "resolved", DOUBTFUL)
    return operation


def replay(payment: Payment, command: ReplayOperation, at: datetime) -> tuple[Payment, Step, int]:
    """A new operation in place of one that provably did nothing; the rail was asked before."""
    old = subject(payment, command)
    added = _next_try(payment, old, at) if old.kind in PRIMARY else _again(payment, old, at)
    after, step, number = opened(payment, added, "REPLAY", f"replays {old.number}", at)
    return after, replace(step, decided_by=_deciding(command, "")), number


def resolve(payment: Payment, command: ResolveInDoubt, at: datetime) -> tuple[Payment, Step]:
    """The doubt ended by the operator's proof; no further rail opens from here."""
    subject(payment, command)
    event = RESOLUTIONS[command.resolution]
    outcome = Outcome(event, detail=f"resolved by {command.operator}")
    after, step = answer(payment, command.number, outcome, at=at, may_go_on=False)
    resolved = replace(
        step, action=f"RESOLVED_{event.name}", decided_by=_deciding(command, command.proof)
    )
    return after, resolved


def _require_replayable(payment: Payment, operation: Operation) -> None:
    if operation.state not in OPENS_NEXT_RAIL:
        raise _state_refused(payment, operation, "replayed", OPENS_NEXT_RAIL)
    if payment.cancel_requested and operation.kind in TAKES:
        raise _payment_refused(payment, "its cancellation was asked for")
    if operation.kind not in PRIMARY:
        return
    if payment.carrier is not None:
        raise _payment_refused(payment, "another try has succeeded")
    if any(o.state in HOLDING for o in payment.primary):
        raise _payment_refused(payment, "another try is under way")


def _next_try(payment: Payment, old: Operation, at: datetime) -> Operation:
    """At the next account of the plan after a soft no; else where it never arrived."""
    following = next_candidate(payment) if old.state is S.DECLINED_SOFT else None
    if following is not None:
        return attempt(payment, following.rail, following.account, at)
    return attempt(payment, old.rail, old.account, at)


def _again(payment: Payment, old: Operation, at: datetime) -> Operation:
    amounts, target = payment.amounts, payment.operation(old.target or 0)
    available = {
        K.CAPTURE: amounts.capturable,
        K.VOID: amounts.capturable,
        K.REFUND: amounts.refundable,
        K.REVERSAL: old.amount.minor,
    }[old.kind]
    if old.amount.minor + old.release_minor > available:
        raise AmountNotAvailable(
            payment=payment.name, wish="replayed", asked=old.amount.minor, available=available,
            asset=old.amount.asset,
        )  # fmt: skip
    added = promised(payment, old.kind, target, old.amount, at, reason=old.reason)
    return replace(added, final=old.final, release_minor=old.release_minor)


def _deciding(command: Override, proof: str) -> Deciding:
    return Deciding(operator=command.operator, reason=command.reason, proof=proof)


def _payment_refused(payment: Payment, why: str) -> PaymentStateRefused:
    return PaymentStateRefused(
        payment=payment.name, state=payment.state.value, wish="tried again", way_out=why
    )


def _state_refused(
    payment: Payment, operation: Operation, wish: str, possible: frozenset[OperationState]
) -> OperationStateRefused:
    return OperationStateRefused(
        operation=payment.operation_name(operation.number), state=operation.state.name, wish=wish,
        possible=", ".join(sorted(state.name for state in possible)),
    )  # fmt: skip
