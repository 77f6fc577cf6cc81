"""Loops that finish what callers and crashes left behind, without hammering what is down."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from cashier_common.errors import Kind, Outage, Refusal

JITTER: Final = 0.2
"""Share of a pause that chance adds or takes, so that replicas drift apart."""
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 30.0
"""After a fault of our own: more often would only fill the log."""
OUTAGE_BACKOFF_MAX_S: Final = 2.0
"""While a dependency is away: it is noticed within this that it has returned, since a row is to be
sealed within 5 s and a payer waits (money-safety §5)."""
BACKOFF_DOUBLINGS_MAX: Final = 16
"""2**16 times the first pause is above any cap; more would only overflow."""
STOP_WAIT_S: Final = 10.0
"""What a step gets to finish after `stop`; what is left then is like a crash, and resumed."""
STALE_AFTER_S: Final = 60.0
"""A worker that has finished no step for so long (plus its pauses) is not healthy."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Heartbeat:
    """How a worker is; times are `time.monotonic()` of this process."""

    finished_at: float = field(default_factory=time.monotonic)
    """End of the last step that did not fail; the start of the worker before the first."""
    failures: int = 0
    """Steps that failed since then."""
    last_error: str = ""
    done: int = 0
    """Sum of what the steps answered."""


class Worker:
    """One loop: `step` does a piece of work and answers how much it did.

    A step that did something is repeated at once; after 0 the loop rests for `period_s`, give or
    take JITTER; after a failure it waits longer each time, up to BACKOFF_MAX_S. A step must be safe
    to be cut off anywhere and run again: a crash is exactly that. An `interruptible` one waits for
    what others tell and asks nobody to move money: it is cut off as soon as it is told to stop.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[int]],
        period_s: float,
        *,
        interruptible: bool = False,
    ) -> None:
        if period_s <= 0:
            raise ValueError(f"worker {name} has a period of {period_s} s: it must be above 0")
        self.name = name
        self.period_s = period_s
        self.interruptible = interruptible
        self.heartbeat = Heartbeat()
        self._step = step

    def is_healthy(self, stale_after_s: float = STALE_AFTER_S) -> bool:
        """Whether a step has succeeded lately; for readiness."""
        silent_s = time.monotonic() - self.heartbeat.finished_at
        return silent_s < stale_after_s + self.period_s * (1 + JITTER)

    async def run(self, stop: asyncio.Event) -> None:
        """Repeat the step until `stop` is set; the step under way is finished first."""
        self.heartbeat.finished_at = time.monotonic()
        while not stop.is_set():
            pause_s = await self._once()
            if pause_s == 0:
                await asyncio.sleep(0)  # a step that never waits must not starve the others
            else:
                await _rest(stop, pause_s)

    async def _once(self) -> float:
        beat = self.heartbeat
        try:
            done = await self._step()
        except Exception as error:  # noqa: BLE001 - a worker outlives whatever its step raises
            beat.failures += 1
            beat.last_error = f"{type(error).__name__}: {error}"
            most_s = OUTAGE_BACKOFF_MAX_S if _is_outage(error) else BACKOFF_MAX_S
            pause_s = min(backoff_s(beat.failures), most_s)
            self._tell(error, pause_s)
            return pause_s
        if beat.failures:
            _log.info("worker_recovered", worker=self.name, failures=beat.failures)
        beat.finished_at = time.monotonic()
        beat.failures, beat.last_error = 0, ""
        beat.done += done
        return 0 if done > 0 else jittered_s(self.period_s)

    def _tell(self, error: Exception, pause_s: float) -> None:
        facts = {
            "worker": self.name,
            "failures": self.heartbeat.failures,
            "pause_s": round(pause_s, 3),
            "error": self.heartbeat.last_error,
        }
        if _is_outage(error):
            _log.warning("worker_refused", **facts)  # expected in an outage: no traceback
        else:
            _log.error("worker_failed", **facts, exc_info=error)


def _is_outage(error: Exception) -> bool:
    if isinstance(error, Outage):
        return True
    return isinstance(error, Refusal) and error.kind in {Kind.UNAVAILABLE, Kind.LOST_RACE}


async def run_workers(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    """Run all of them until `stop`, then let each finish its step for up to STOP_WAIT_S.

    Interruptible ones are cut off at once. One worker's failure is not another's: none ends before
    `stop`. Without workers it just waits.
    """
    names = [worker.name for worker in workers]
    if len(set(names)) != len(names):
        raise ValueError(f"two workers have one name: {', '.join(sorted(names))}")
    tasks = [asyncio.create_task(worker.run(stop), name=worker.name) for worker in workers]
    try:
        await stop.wait()
        for worker, task in zip(workers, tasks, strict=True):
            if worker.interruptible:
                task.cancel()
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=STOP_WAIT_S)
            for task in unfinished:
                _log.warning("worker_cut_off", worker=task.get_name(), after_s=STOP_WAIT_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def backoff_s(failures: int) -> float:
    """How long to wait after so many failures in a row: doubled each time, capped, jittered."""
    doublings = min(failures - 1, BACKOFF_DOUBLINGS_MAX)
    return jittered_s(min(BACKOFF_FIRST_S * 2**doublings, BACKOFF_MAX_S))


def jittered_s(pause_s: float) -> float:
    """The pause, longer or shorter by up to JITTER."""
    return pause_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - it guards no secret


async def _rest(stop: asyncio.Event, pause_s: float) -> None:
    try:
        async with asyncio.timeout(pause_s):
            await stop.wait()
    except TimeoutError:
        pass
