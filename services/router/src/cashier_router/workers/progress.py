"""Progress and janitor: resume what lost its owner, and ask about what is in doubt."""

import asyncio
from collections.abc import Awaitable, Callable

from cashier_router.domain.payment import Payment
from cashier_router.flows.ports import Actor, World
from cashier_router.flows.resolve_operation import resolve_doubt, resume_payment
from cashier_router.flows.submit_operation import RAIL_CALL_MAX_S, lease_s

# One round takes so many payments and works on them at once; the next round takes the rest.
BATCH_MAX = 16
LEASE_S = lease_s(RAIL_CALL_MAX_S)


class Progress:
    """Takes payments whose lease expired and drives them on."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def step(self) -> int:
        """One round; answers how many payments it took."""
        taken = await self._world.store.take_expired_leases(BATCH_MAX, LEASE_S)
        return await _together(
            taken, lambda p: resume_payment(p, _actor("progress", p), self._world)
        )


class Janitor:
    """Asks the rails about operations in doubt, each on its own schedule."""

    def __init__(self, world: World, schedule_s: tuple[int, ...]) -> None:
        self._world = world
        self._schedule_s = schedule_s

    async def step(self) -> int:
        """One round; answers how many payments it took."""
        taken = await self._world.store.take_due_doubts(BATCH_MAX, LEASE_S)
        doubtful = [payment for payment in taken if payment.in_doubt]
        return await _together(
            doubtful,
            lambda p: resolve_doubt(p, _actor("janitor", p), self._world, self._schedule_s),
        )


def _actor(worker: str, payment: Payment) -> Actor:
    return Actor(f"worker/{worker}", payment.traceparent)


async def _together(payments: list[Payment], work: Callable[[Payment], Awaitable[Payment]]) -> int:
    """Every payment on its own: a failure is raised after the others have had their turn."""
    results = await asyncio.gather(*(work(p) for p in payments), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return len(payments)
