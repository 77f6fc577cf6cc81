"""Brings calls to rest that a crash left SUBMITTING; their outcomes are told by StreamOutcomes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from cashier_common.clock import Clock
from cashier_gateway.domain.call import Call
from cashier_gateway.flows.ports import Book, Origin, Terminal
from cashier_gateway.flows.resume import resume

# After a crash a few dozen calls are left; more at a time would be a second storm on the processor.
BATCH_MAX: Final = 20
PERIOD_S: Final = 1.0
ACTOR: Final = "gateway/resume"
SOURCE: Final = "RESUME"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Resumer:
    """The worker's step; any number of replicas may run, since taking over is a compare-and-set."""

    book: Book
    terminals: Mapping[str, Terminal]
    clock: Clock

    async def step(self) -> int:
        """Resume one batch; how many calls were looked at."""
        left = await self.book.list_abandoned(BATCH_MAX)
        known = [call for call in left if call.account in self.terminals]
        for call in left:
            if call.account not in self.terminals:
                _log.error("account_gone", operation=call.operation, account=call.account)
        await asyncio.gather(*(self._resume(call) for call in known))
        return len(known)

    async def _resume(self, call: Call) -> None:
        origin = Origin(ACTOR, call.traceparent)
        rested = await resume(
            call, self.terminals[call.account], origin, source=lambda: SOURCE, book=self.book,
            clock=self.clock,
        )  # fmt: skip
        _log.info("call_resumed", operation=call.operation, state=rested.state)
