"""Fills the fast counters of a merchant when an answer could not be trusted."""

import asyncio
import contextlib
from typing import Final

import structlog

from cashier_common.clock import Clock
from cashier_common.errors import Refusal
from cashier_common.tasks import TaskGroup
from cashier_risk.flows.ports import Counters, Truth
from cashier_risk.flows.refill_counters import refill_counters

PAUSE_S: Final = 1.0
"""Between tries while the counters or the truth are away; calls ask the truth meanwhile."""
_log = structlog.get_logger(__name__)


class Refills:
    """At most one refill per merchant at a time, repeated until the counters are whole."""

    def __init__(self, *, counters: Counters, truth: Truth, clock: Clock) -> None:
        self._counters = counters
        self._truth = truth
        self._clock = clock
        self._under_way: set[str] = set()
        self._tasks = TaskGroup()
        self._stopped = asyncio.Event()

    def ask(self, merchant: str) -> None:
        """Start a refill unless one runs; returns at once."""
        if merchant not in self._under_way:
            self._under_way.add(merchant)
            self._tasks.start(self._refill(merchant))

    async def drain(self) -> None:
        """Start nothing more and let what runs finish, for a stop."""
        self._stopped.set()
        await self._tasks.drain()

    async def _refill(self, merchant: str) -> None:
        try:
            while not await self._once(merchant):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await self._stopped.wait()
                if self._stopped.is_set():
                    return
        finally:
            self._under_way.discard(merchant)

    async def _once(self, merchant: str) -> bool:
        try:
            done = await refill_counters(
                merchant, counters=self._counters, truth=self._truth, clock=self._clock
            )
        except Refusal as refusal:
            _log.warning("counters_not_filled", merchant=merchant, reason=refusal.reason)
            return False
        if done:
            _log.info("counters_filled", merchant=merchant)
        return done
