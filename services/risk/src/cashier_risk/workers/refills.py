"""Fills the fast counters of a merchant when an answer could not be trusted."""

import asyncio
from typing import Final

import structlog

from cashier_common.clock import Clock
from cashier_common.errors import Refusal
from cashier_common.tasks import TaskGroup
from cashier_risk.flows.ports import Counters, Truth
from cashier_risk.flows.refill_counters import refill_counters

PAUSE_S: Final = 1.0
"""After a refill that failed: the counters or the truth are away, and the truth serves calls."""
_log = structlog.get_logger(__name__)


class Refills:
    """At most one refill per merchant at a time, beside the calls that noticed the need."""

    def __init__(self, *, counters: Counters, truth: Truth, clock: Clock) -> None:
        self._counters = counters
        self._truth = truth
        self._clock = clock
        self._under_way: set[str] = set()
        self._tasks = TaskGroup()

    def ask(self, merchant: str) -> None:
        """Start a refill unless one runs; returns at once."""
        if merchant not in self._under_way:
            self._under_way.add(merchant)
            self._tasks.start(self._refill(merchant))

    async def drain(self) -> None:
        """Let what runs finish, for a stop."""
        await self._tasks.drain()

    async def _refill(self, merchant: str) -> None:
        try:
            done = await refill_counters(
                merchant, counters=self._counters, truth=self._truth, clock=self._clock
            )
            _log.info("counters_filled" if done else "counters_not_filled", merchant=merchant)
            if not done:
                await asyncio.sleep(PAUSE_S)
        except Refusal as refusal:
            _log.warning("counters_not_filled", merchant=merchant, reason=refusal.reason)
            await asyncio.sleep(PAUSE_S)
        finally:
            self._under_way.discard(merchant)
