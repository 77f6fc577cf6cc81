"""Apply what a person decided about a review. The cursor moves in the same unit."""

import structlog

from cashier_router.domain.payment import Payment
from cashier_router.domain.review import Ruling, after_review
from cashier_router.flows.apply_outcome import PICK_UP_S
from cashier_router.flows.ports import RISK_STREAM, Actor, CaseDecision, World
from cashier_router.flows.route import route

log = structlog.get_logger()


async def apply_decision(
    decided: CaseDecision, actor: Actor, world: World, *, seen: int
) -> Payment | None:
    """Resume or end the payment; a worker sends what this promises.

    A crash applies it again and never skips it. Answers the payment, or None for one that we do
    not have. MovedOnError when another replica pulls the same shard.
    """
    async with world.store.begin() as book:
        payment = await book.lock(decided.merchant, decided.payment)
        after = None
        if payment is None:
            log.error("decision_of_unknown_payment", payment=decided.payment)
        else:
            plan = None
            if decided.reviewed.ruling is Ruling.APPROVED:
                strict = payment.decision is not None and payment.decision.strict_only
                plan = route(payment, world, strict_only=strict)
            after, step = after_review(payment, decided.reviewed, plan, world.clock.now())
            book.move(payment, after, step, actor, lease_s=PICK_UP_S)
        book.advance_cursor(RISK_STREAM, decided.shard, seen=seen, position=decided.position)
    return after
