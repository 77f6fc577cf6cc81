"""Send what is promised, record the answer, and go on with what the answer opened."""

from datetime import timedelta

import structlog

from cashier_common.errors import RaceLost, Refusal, TransitionRefused
from cashier_router.domain.lifecycle import OPENS_NEXT_RAIL, OperationState
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome, answer
from cashier_router.flows.ports import (
    Actor,
    BoundsBrokenError,
    CommitUnknownError,
    MovedOnError,
    World,
)

# A rail gets at least this long, so that a caller in a hurry does not turn a charge into a doubt,
# and at most this long, so that a lease does not keep a payment from recovery.
RAIL_CALL_MIN_S, RAIL_CALL_MAX_S = 2.0, 20.0
# The lease outlives the longest call by this much: room for the two units of work around it.
LEASE_MARGIN_S = 5
# A further rail opens only while the payment is younger than the longest that a caller may wait
# (money-safety.md, 1.6): nobody is charged later at a second processor, after having gone away.
FAILOVER_MAX_S = 60

log = structlog.get_logger()


def call_s(left_s: float) -> float:
    """How long a rail call may take when the caller waits `left_s` more."""
    return min(max(left_s, RAIL_CALL_MIN_S), RAIL_CALL_MAX_S)


def lease_s(left_s: float) -> int:
    """How long nobody else may send the operation while a call of `call_s(left_s)` runs."""
    return int(call_s(left_s)) + LEASE_MARGIN_S


async def drive(
    payment: Payment,
    number: int,
    actor: Actor,
    world: World,
    *,
    caller_ends_s: float,
    personal: object = None,
) -> Payment:
    """Send an operation whose lease we hold, and whatever its answer opens; the payment then.

    `personal` is the request whose caller waits: it is kept nowhere, so who goes on after a crash
    has none, and an account that has to know who pays refuses the operation unsent.
    A crash anywhere leaves SUBMITTING under a lease; when that has expired a worker calls this
    again, and the rail answers the same operation as it answered before.
    """
    waiting = [number]
    while waiting:
        number = waiting.pop(0)
        operation = payment.operation(number)
        if operation.state is not OperationState.SUBMITTING:
            continue
        await world.failpoint("router.before_send")
        timeout_s = call_s(caller_ends_s - world.clock.monotonic())
        outcome = await world.rails.send(payment, operation, personal=personal, timeout_s=timeout_s)
        await world.failpoint("router.after_answer")
        recorded = await record(
            payment, operation, outcome, actor, world, caller_ends_s=caller_ends_s
        )
        if recorded is None:
            return await world.store.payment(payment.merchant, payment.name) or payment
        payment, opened = recorded
        waiting += opened
    return payment


async def record(
    payment: Payment,
    operation: Operation,
    outcome: Outcome,
    actor: Actor,
    world: World,
    *,
    caller_ends_s: float,
) -> tuple[Payment, list[int]] | None:
    """Write an outcome; the payment with the numbers of what it opened. None when it is not ours.

    Nobody else wrote in most cases, so the first try takes no lock. Where the payment has moved on
    (another of its operations was answered) the second one does.
    """
    try:
        try:
            return await _written(
                payment, operation, outcome, actor, world, ends_s=caller_ends_s, locked=False
            )
        except (MovedOnError, RaceLost):
            return await _written(
                payment, operation, outcome, actor, world, ends_s=caller_ends_s, locked=True
            )
    except (MovedOnError, RaceLost):
        log.warning("outcome_not_recorded", payment=payment.name, why="the operation moved on")
    except TransitionRefused:
        raise
    except BoundsBrokenError as broken:
        log.exception("incident", payment=payment.name, what=f"an answer breaks {broken}")
    except (CommitUnknownError, Refusal) as error:
        # The lease ends by itself; a worker asks the rail again and gets the same answer.
        log.warning("outcome_not_recorded", payment=payment.name, why=str(error))
    return None


async def _written(
    payment: Payment,
    operation: Operation,
    outcome: Outcome,
    actor: Actor,
    world: World,
    *,
    ends_s: float,
    locked: bool,
) -> tuple[Payment, list[int]]:
    left_s = ends_s - world.clock.monotonic()
    at = world.clock.now()
    async with world.store.begin() as book:
        if locked:
            found = await book.lock(payment.merchant, payment.name)
            if found is None or not _is_ours(found, operation):
                raise MovedOnError(payment.name)
            payment = found
        may_go_on = left_s > 0 and at - payment.create_time < timedelta(seconds=FAILOVER_MAX_S)
        after, step = answer(payment, operation.number, outcome, at=at, may_go_on=may_go_on)
        book.move(payment, after, step, actor, lease_s=lease_s(left_s))
    state = after.operation(operation.number).state
    if operation.number > 1 or state in OPENS_NEXT_RAIL:
        log.info(
            "rail_answered", payment=payment.name, operation=operation.number, action=step.action
        )
    return after, [opened.number for opened in after.operations[len(payment.operations) :]]


def _is_ours(payment: Payment, operation: Operation) -> bool:
    """Whether the operation still stands as we saw it, under the lease that we hold."""
    found = payment.operation(operation.number)
    return (found.state, found.lease_epoch) == (operation.state, operation.lease_epoch)
