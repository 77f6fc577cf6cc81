"""Go on with what lost its sender, and end what is unknown by evidence: ask the rail."""

from dataclasses import replace

from cashier_common.errors import TransitionRefused
from cashier_router.domain.lifecycle import OperationEvent, OperationState
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome
from cashier_router.domain.questions import evidence
from cashier_router.flows.ports import Actor, Taken, World
from cashier_router.flows.submit_operation import RAIL_CALL_MAX_S, drive, record

# The first question leaves the door open: the processor may still be working on it. From the second
# on the rail fences the operation first, so that "not there" is final.
OPEN_DOOR_ASKS = 1
S, E = OperationState, OperationEvent
# The rail has it and waits for its answer: no evidence, and no reason to give up either.
_UNDER_WAY = frozenset({E.ACCEPT, E.ASK_CUSTOMER})
# Its method's last day comes all the same.
_THE_SAME_AGAIN = frozenset({(S.PENDING, E.ACCEPT), (S.ACTION_REQUIRED, E.ASK_CUSTOMER)})


async def resume_operation(taken: Taken, actor: Actor, world: World) -> Payment:
    """Go on with an operation whose sender is gone; the caller holds its lease.

    The same operation is sent to the same rail again: it answers what it knows, or does it once.
    """
    ends_s = world.clock.monotonic() + RAIL_CALL_MAX_S
    return await drive(taken.payment, taken.number, actor, world, caller_ends_s=ends_s)


async def ask_about(taken: Taken, actor: Actor, world: World) -> Payment:
    """Ask once about an operation; evidence moves it, silence plans the next question.

    After the last question a doubt goes to MANUAL_REVIEW, and what was pending or waited for the
    customer becomes a doubt: time never decides about money.
    """
    payment, operation = taken.payment, taken.payment.operation(taken.number)
    closing = operation.state is S.IN_DOUBT and operation.asks >= OPEN_DOOR_ASKS
    outcome = await world.rails.look_up(
        payment, operation, close_door=closing, timeout_s=RAIL_CALL_MAX_S
    )
    if outcome is not None:
        outcome = replace(outcome, event=evidence(operation.state, outcome.event))
        if outcome.event is E.LOSE_TRACK and operation.state is not S.PENDING:
            outcome = None  # a question that nobody could answer changes nothing
    asked, method = operation.asks + 1, payment.terms.instrument.method
    after_s = world.questions.pause_s(operation.state, method, asked)
    if operation.state is S.IN_DOUBT and outcome is not None and outcome.event in _UNDER_WAY:
        outcome, after_s = None, world.questions.pause_after_pending_s(method, asked)
    if outcome is not None and (operation.state, outcome.event) in _THE_SAME_AGAIN:
        outcome = None
    if outcome is None and after_s is None:
        outcome = _given_up(operation)
    if outcome is not None:
        moved = await _apply(payment, operation, outcome, actor, world)
        if moved is not None:
            return moved
    await world.store.plan_question(payment, operation, after_s)
    return payment


def _given_up(operation: Operation) -> Outcome:
    event = E.ESCALATE if operation.state is S.IN_DOUBT else E.LOSE_TRACK
    return Outcome(event=event, detail="nobody could say what became of it")


async def _apply(
    payment: Payment, operation: Operation, outcome: Outcome, actor: Actor, world: World
) -> Payment | None:
    ends_s = world.clock.monotonic() + RAIL_CALL_MAX_S
    try:
        recorded = await record(payment, operation, outcome, actor, world, caller_ends_s=ends_s)
    except TransitionRefused:
        return None  # e.g. the rail says "pending" again: it stays and is asked about again
    if recorded is None:
        return None
    after, opened = recorded
    for number in opened:
        after = await drive(after, number, actor, world, caller_ends_s=ends_s)
    return after
