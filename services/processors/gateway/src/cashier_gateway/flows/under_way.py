"""Money flows of this process, out of reach of the cancellation of the RPC that began them."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from cashier_common.errors import OperationReused, Refusal
from cashier_common.tasks import TaskGroup
from cashier_gateway.domain.call import Call

Key: TypeAlias = tuple[str, str]

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Ticket:
    """One flow under way; `waiting` counts the callers that still want its answer.

    `is_replay` is set by a flow that found the row of an earlier call.
    """

    fingerprint: bytes
    waiting: int = 0
    is_replay: bool = False
    task: "asyncio.Task[Call]" = field(init=False)

    @property
    def is_late(self) -> bool:
        """Whether everybody went away, so that the outcome has to be told by the stream."""
        return self.waiting == 0


class UnderWay:
    """At most one flow per operation in this process; duplicates wait for the same one."""

    def __init__(self) -> None:
        self._tickets: dict[Key, Ticket] = {}
        self._tasks = TaskGroup()

    async def join(
        self,
        key: Key,
        fingerprint: bytes,
        *,
        wait_s: float,
        flow: Callable[[Ticket], Coroutine[None, None, Call]],
    ) -> tuple[Call | None, bool]:
        """Start the flow, or wait for the one under way; the call, or None when time ran out first.

        The second value says whether an earlier call had begun it. A crash leaves what the flow
        has written so far.
        """
        ticket = self._tickets.get(key)
        joined = ticket is not None
        if ticket is None:
            ticket = self._tickets[key] = Ticket(fingerprint)
            ticket.task = self._tasks.start(flow(ticket))
            ticket.task.add_done_callback(lambda task: self._ended(key, task))
        elif ticket.fingerprint != fingerprint:
            raise OperationReused(operation=key[1])
        ticket.waiting += 1
        try:
            await asyncio.wait((ticket.task,), timeout=wait_s)
        finally:
            ticket.waiting -= 1
        call = ticket.task.result() if ticket.task.done() else None
        return call, joined or ticket.is_replay

    async def drain(self) -> None:
        """Let the flows end; what does not in time stays SUBMITTING for the resume worker."""
        left = await self._tasks.drain()
        if left:
            _log.warning("operations_left", count=left)

    def _ended(self, key: Key, task: "asyncio.Task[Call]") -> None:
        ticket = self._tickets.pop(key)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, Refusal) and ticket.is_late:
            _log.error("operation_left", operation=key[1], error=type(error).__name__)
