"""End a doubt by evidence: ask the rail, first gently, then with the door closed."""

from cashier_common.errors import TransitionRefused
from cashier_router.domain.lifecycle import OperationEvent, OperationState
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome
from cashier_router.flows.ports import Actor, World
from cashier_router.flows.submit_operation import RAIL_CALL_MAX_S, drive, record

# The first question leaves the door open: the processor may still be working on it. From the second
# on the rail fences the operation first, so that "not there" is final.
OPEN_DOOR_ASKS = 1


async def resume_payment(payment: Payment, actor: Actor, world: World) -> Payment:
    """Go on with a payment whose owner is gone; the caller holds its lease.

    The same operation is sent to the same rail again: it answers what it knows, or does it once.
    """
    return await drive(
        payment, actor, world, caller_ends_s=world.clock.monotonic() + RAIL_CALL_MAX_S
    )


async def resolve_doubt(
    payment: Payment, actor: Actor, world: World, schedule_s: tuple[int, ...]
) -> Payment:
    """Ask once about the operation in doubt; evidence moves it, silence plans the next question.

    After the last question it goes to MANUAL_REVIEW: time never decides about money.
    """
    operation = next(o for o in payment.operations if o.state is OperationState.IN_DOUBT)
    close_door = operation.asks >= OPEN_DOOR_ASKS
    outcome = await world.rails.look_up(
        payment, operation, close_door=close_door, timeout_s=RAIL_CALL_MAX_S
    )
    asked = operation.asks + 1
    if outcome is None and asked >= len(schedule_s):
        outcome = Outcome(
            event=OperationEvent.ESCALATE, detail="nobody could say what became of it"
        )
    if outcome is not None:
        resolved = await _apply(payment, operation, outcome, actor, world)
        if resolved is not None:
            return resolved
    after_s = schedule_s[asked] if asked < len(schedule_s) else None
    await world.store.plan_question(payment, operation, after_s)
    return payment


async def _apply(
    payment: Payment, operation: Operation, outcome: Outcome, actor: Actor, world: World
) -> Payment | None:
    ends = world.clock.monotonic() + RAIL_CALL_MAX_S
    try:
        recorded = await record(payment, operation, outcome, actor, world, caller_ends_s=ends)
    except TransitionRefused:
        return None  # e.g. the rail says "pending": the doubt stays and is asked about again
    if recorded is None:
        return None
    return await drive(recorded, actor, world, caller_ends_s=ends)
