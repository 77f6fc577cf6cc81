"""Fill the fast counters of one merchant from the truth, so that they may be trusted again."""

from cashier_common.clock import Clock
from cashier_risk.flows.ports import Counters, Truth


async def refill_counters(merchant: str, *, counters: Counters, truth: Truth, clock: Clock) -> bool:
    """Load everything that still counts, then say so; False when the counters went away meanwhile.

    Attempts that happen during it add themselves. A restart of the counters' server in the middle
    makes the promise void, because it is given for the generation that was there at the start.
    """
    generation = await counters.generation(merchant)
    if generation is None:
        return False
    async for events in truth.events(merchant, at=clock.now()):
        if not await counters.load(merchant, events):
            return False
    return await counters.trust(merchant, generation)
