"""Fill the fast counters of one merchant from the truth, so that they may be trusted again."""

from cashier_common.clock import Clock
from cashier_risk.flows.ports import Counters, Truth


async def refill_counters(merchant: str, *, counters: Counters, truth: Truth, clock: Clock) -> bool:
    """Make the counters whole and say so; False when they went away meanwhile.

    What was only missed is added; counters that lost something get everything that still counts.
    Attempts that happen during it add themselves. A restart of the counters' server in the middle
    makes the promise void, because it is given for the generation that was there at the start.
    """
    generation = await counters.generation(merchant)
    if generation is None:
        return False
    if await counters.mend(merchant):
        return True
    async for events in truth.events(merchant, at=clock.now()):
        if not await counters.load(merchant, events):
            return False
    return await counters.trust(merchant, generation)
