"""Virtual time and processes that can be killed or stopped at any await."""

import asyncio
import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

PROCESS: ContextVar["Process | None"] = ContextVar("simulated_process", default=None)
"""Whose code is running; None is the world outside: networks, databases, processors, payers."""


class NothingLeft(RuntimeError):
    """Everybody waits, and nothing will ever happen again."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose clock jumps to the next timer, and that knows whose step it runs.

    Every step of a task carries the task's context, and with it its process. A dead process's steps
    are dropped, a stopped one's are put aside: that is SIGKILL and SIGSTOP, at exactly an await.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self.steps = 0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()
        self.set_task_factory(_tracked)
        self.set_exception_handler(lambda _loop, _facts: None)

    def time(self) -> float:
        return self._now

    def outside(self, delay_s: float, callback: Callable[..., object], *args: object) -> None:
        """Let the world do something later, whoever asked for it."""
        self.call_later(delay_s, callback, *args, context=_OUTSIDE)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise NothingLeft
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
            if process is None or process.lets_run(handle):
                self.steps += 1
                handle._run()

    def _write_to_self(self) -> None:
        """No other thread ever wakes this loop."""

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""


class Process:
    """A simulated process: the tasks that were started in its context, and their fate."""

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.is_alive = True
        self.steps = 0
        self.kill_at: int | None = None
        self._stop_at: tuple[int, float] | None = None
        self.on_death: dict[object, Callable[[], None]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self._loop = loop
        self._stopped = False
        self._aside: deque[asyncio.Handle] = deque()
        self._context = copy_context()
        self._context.run(PROCESS.set, self)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something in this process."""
        context: Context = self._context.copy()
        return self._loop.create_task(work, context=context)

    def lets_run(self, handle: asyncio.Handle) -> bool:
        """Whether the next step may run now; counts it, and dies of it where that is planned."""
        if not self.is_alive:
            return False
        if self._stopped:
            self._aside.append(handle)
            return False
        self.steps += 1
        if self.kill_at is not None and self.steps >= self.kill_at:
            self.kill()
            return False
        if self._stop_at is not None and self.steps >= self._stop_at[0]:
            for_s, self._stop_at = self._stop_at[1], None
            self._stopped = True
            self._loop.outside(for_s, self._go_on)
            self._aside.append(handle)
            return False
        return True

    def kill(self) -> None:
        """SIGKILL: no step of it runs any more; what it held is let go, what it sent is sent."""
        if not self.is_alive:
            return
        self.is_alive = False
        self._aside.clear()
        ending, self.on_death = self.on_death, {}
        for end in ending.values():
            end()

    def stop_at(self, step: int, for_s: float) -> None:
        """SIGSTOP before that step, SIGCONT later; then it goes on as if nothing had been."""
        if not self._stopped:
            self._stop_at = (step, for_s)

    def bury(self) -> None:
        """Let go of its tasks without a sound, when the simulation has ended."""
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with contextlib.suppress(BaseException):
                task.get_coro().close()
        self.tasks.clear()

    def _go_on(self) -> None:
        self._stopped = False
        aside, self._aside = self._aside, deque()
        self._loop._ready.extend(aside)


_OUTSIDE = Context()


def _tracked(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
) -> asyncio.Task[Any]:
    """Every task is held by its process, so that nothing of a dead one is ever finalized."""
    inside = copy_context() if context is None else context
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=inside)
    process = inside.get(PROCESS)
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task


def outside_task(loop: VirtualLoop, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Run something that belongs to no process: a database server, a processor, a payer."""
    return loop.create_task(work, context=_OUTSIDE.copy())
