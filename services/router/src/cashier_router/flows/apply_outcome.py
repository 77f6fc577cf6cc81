"""Apply what a rail tells later: webhook, deposit, return. The cursor moves in the same unit."""

from dataclasses import replace

import structlog

from cashier_common.errors import TransitionRefused
from cashier_router.domain.payment import Payment
from cashier_router.domain.progress import Outcome, Step, answer
from cashier_router.flows.ports import Actor, LateOutcome, MovedOnError, World

# A payment that moves under us this often in a row is left for the next pull.
RACES_MAX = 5

log = structlog.get_logger()


async def apply_outcome(
    late: LateOutcome, actor: Actor, world: World, *, seen: int
) -> Payment | None:
    """Move the payment as its table allows; what it does not allow is kept as evidence.

    The cursor moves in the same unit of work, so a crash applies it again and never skips it.
    Answers the payment, or None for one that we do not have.
    """
    for _ in range(RACES_MAX):
        payment = await world.store.payment(late.merchant, late.payment)
        if payment is None or not 0 < late.number <= len(payment.operations):
            log.error("outcome_of_unknown_payment", payment=late.payment, operation=late.number)
            async with world.store.begin() as book:
                book.advance_cursor(late.rail, late.shard, seen=seen, position=late.position)
            return None
        after, step = _judge(payment, late, world)
        try:
            async with world.store.begin() as book:
                book.move(payment, after, step, actor, lease_s=0)
                book.advance_cursor(late.rail, late.shard, seen=seen, position=late.position)
        except MovedOnError:
            continue
        return after
    raise MovedOnError(late.payment)


def _judge(payment: Payment, late: LateOutcome, world: World) -> tuple[Payment, Step]:
    at = world.clock.now()
    if not late.taken_back:
        try:
            # The customer of a late answer is gone: no further rail opens from here.
            return answer(payment, late.number, late.outcome, at=at, may_go_on=False)
        except TransitionRefused:
            pass
    state = payment.operation(late.number).state
    same = not late.taken_back and state.name in _told(late.outcome)
    action = "OUTCOME_REPEATED" if same else "OUTCOME_KEPT_AS_EVIDENCE"
    if not same:
        log.error("outcome_contradicts_state", payment=payment.name, operation=late.number)
    detail = f"{late.outcome.event.name} while {state.name}: {late.outcome.detail}"
    kept = replace(payment, version=payment.version + 1, update_time=at)
    return kept, Step(action, state.name, late.number, detail)


def _told(outcome: Outcome) -> frozenset[str]:
    """Names of states that this outcome would only repeat."""
    return {
        "SUCCEED": frozenset({"SUCCEEDED"}),
        "DECLINE_HARD": frozenset({"DECLINED_HARD"}),
        "DECLINE_SOFT": frozenset({"DECLINED_SOFT"}),
        "ACCEPT": frozenset({"PENDING"}),
        "ASK_CUSTOMER": frozenset({"ACTION_REQUIRED"}),
        "PROVE_ABSENT": frozenset({"NOT_FOUND"}),
        "EXPIRE": frozenset({"EXPIRED"}),
    }.get(outcome.event.name, frozenset())
