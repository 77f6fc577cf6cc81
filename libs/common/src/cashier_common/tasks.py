"""Tracked tasks: work about money goes on when the call that started it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

# A stopping process waits this long for money flows; what is left then is a crash, and a worker
# resumes it.
DRAIN_MAX_S = 10.0

log = structlog.get_logger()


class TaskGroup:
    """Holds every running flow, so that neither a caller nor the collector ends it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` to its end; wait for it with `asyncio.shield` or `asyncio.wait`."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self, wait_s: float = DRAIN_MAX_S) -> int:
        """Wait for what runs; answers how many flows were left unfinished."""
        if self._running:
            await asyncio.wait(self._running, timeout=wait_s)
        return len(self._running)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Reading the exception here keeps asyncio silent; a waiting caller raises it too.
            log.debug("tracked_task_raised", error=type(task.exception()).__name__)
