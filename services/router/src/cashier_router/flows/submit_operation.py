"""Send what is promised, record the answer, and go on to the next rail where the gate allows it."""

from datetime import timedelta

import structlog

from cashier_common.errors import RaceLost, Refusal
from cashier_router.domain.lifecycle import OPENS_NEXT_RAIL
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome, answer
from cashier_router.flows.ports import Actor, CommitUnknownError, MovedOnError, World

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
    """How long nobody else may touch the payment while a call of `call_s(left_s)` runs."""
    return int(call_s(left_s)) + LEASE_MARGIN_S


async def drive(payment: Payment, actor: Actor, world: World, *, caller_ends_s: float) -> Payment:
    """Send every promised operation until the payment rests; answers it as it then stands.

    A crash anywhere leaves SUBMITTING under a lease; when that has expired a worker calls this
    again, and the rail answers the same operation as it answered before.
    """
    while (operation := payment.submitting) is not None:
        await world.failpoint("router.before_send")
        timeout_s = call_s(caller_ends_s - world.clock.monotonic())
        outcome = await world.rails.authorize(payment, operation, timeout_s=timeout_s)
        await world.failpoint("router.after_answer")
        recorded = await record(
            payment, operation, outcome, actor, world, caller_ends_s=caller_ends_s
        )
        if recorded is None:
            return await world.store.payment(payment.merchant, payment.name) or payment
        payment = recorded
    return payment


async def record(
    payment: Payment,
    operation: Operation,
    outcome: Outcome,
    actor: Actor,
    world: World,
    *,
    caller_ends_s: float,
) -> Payment | None:
    """Write an outcome in one unit of work; None when somebody else moved it, or nobody knows.

    The next rail is opened in the same unit, and only while a customer may still wait.
    """
    left_s = caller_ends_s - world.clock.monotonic()
    at = world.clock.now()
    may_go_on = left_s > 0 and at - payment.create_time < timedelta(seconds=FAILOVER_MAX_S)
    after, step = answer(payment, operation.number, outcome, at=at, may_go_on=may_go_on)
    lease = lease_s(left_s) if after.submitting else 0
    try:
        async with world.store.begin() as book:
            book.move(payment, after, step, actor, lease_s=lease)
    except (MovedOnError, RaceLost):
        log.warning("outcome_not_recorded", payment=payment.name, why="the payment moved on")
        return None
    except (CommitUnknownError, Refusal) as error:
        # The lease ends by itself; a worker asks the rail again and gets the same answer.
        log.warning("outcome_not_recorded", payment=payment.name, why=str(error))
        return None
    if operation.number > 1 or after.operation(operation.number).state in OPENS_NEXT_RAIL:
        log.info(
            "rail_answered", payment=payment.name, operation=operation.number, action=step.action
        )
    return after
