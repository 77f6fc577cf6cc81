"""Progress and janitor: resume what lost its sender, and ask about what has no answer."""

import asyncio
from collections.abc import Awaitable, Callable

from cashier_router.domain.payment import Payment
from cashier_router.flows.ports import Actor, Taken, World
from cashier_router.flows.resolve_operation import ask_about, resume_operation
from cashier_router.flows.submit_operation import RAIL_CALL_MAX_S, lease_s

# One round takes so many payments and works on them at once; the next round takes the rest.
BATCH_MAX = 16
# Of one processor account at most so many questions a round, so that one which comes back after an
# outage is not asked about everything at once, and a dead one does not fill the rounds.
PER_ACCOUNT_MAX = 8
LEASE_S = lease_s(RAIL_CALL_MAX_S)


class Progress:
    """Takes operations whose lease expired and drives them on."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def step(self) -> int:
        """One round; answers how many operations it took."""
        taken = await self._world.store.take_expired_leases(BATCH_MAX, LEASE_S)
        return await _together(
            taken, lambda at: resume_operation(at, _actor("progress", at), self._world)
        )


class Janitor:
    """Asks the rails about operations in doubt, pending or waiting, each on its own schedule."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def step(self) -> int:
        """One round; answers how many operations it took."""
        taken = await self._world.store.take_due_questions(
            BATCH_MAX, per_account=PER_ACCOUNT_MAX, lease_s=LEASE_S
        )
        return await _together(taken, lambda at: ask_about(at, _actor("janitor", at), self._world))


def _actor(worker: str, taken: Taken) -> Actor:
    return Actor(f"worker/{worker}", taken.payment.traceparent)


async def _together(taken: list[Taken], work: Callable[[Taken], Awaitable[Payment]]) -> int:
    """Every operation on its own: a failure is raised after the others have had their turn."""
    results = await asyncio.gather(*(work(at) for at in taken), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return len(taken)
