"""Apply what a rail tells later: webhook, deposit, return. The cursor moves in the same unit."""

import structlog

from cashier_router.domain.afterwards import hear, keep
from cashier_router.domain.payment import Payment
from cashier_router.flows.ports import (
    Actor,
    BoundsBrokenError,
    LateOutcome,
    MerchantReferenceTakenError,
    World,
)

# What a late word opened is sent by a worker as soon as this has passed.
PICK_UP_S = 1

log = structlog.get_logger()


async def apply_outcome(
    late: LateOutcome, actor: Actor, world: World, *, seen: int
) -> Payment | None:
    """Move the payment as its table allows; what it does not allow is kept as evidence.

    The cursor moves in the same unit of work, so a crash applies it again and never skips it.
    Answers the payment, or None for one that we do not have. MovedOnError when another replica
    pulls the same shard.
    """
    try:
        after, incident = await _applied(late, actor, world, seen=seen, only_kept=False)
    except (BoundsBrokenError, MerchantReferenceTakenError) as broken:
        # One payment must not keep a shard's other words from their payments.
        after, incident = await _applied(late, actor, world, seen=seen, only_kept=True)
        incident = f"the rail's word cannot be applied ({type(broken).__name__}): kept as evidence"
    if incident:
        log.error(
            "incident", payment=late.payment, operation=late.later.number, rail=late.rail,
            source=late.source, what=incident,
        )  # fmt: skip
    return after


async def _applied(
    late: LateOutcome, actor: Actor, world: World, *, seen: int, only_kept: bool
) -> tuple[Payment | None, str]:
    """The payment and the incident, if it is one; `only_kept` changes nothing but its record."""
    async with world.store.begin() as book:
        payment = await book.lock(late.merchant, late.payment)
        after, incident = None, ""
        if payment is None or not payment.has(late.later.number):
            incident = "the rail speaks of a payment that we do not have"
        else:
            at = world.clock.now()
            heard = keep(payment, late.later, at) if only_kept else hear(payment, late.later, at)
            after, incident = heard.payment, heard.incident
            book.move(payment, after, heard.step, actor, lease_s=PICK_UP_S)
        book.advance_cursor(late.rail, late.shard, seen=seen, position=late.position)
    return after, incident
