"""Notices processes that end by themselves and starts them again, ever more slowly."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from cashier_mesh.errors import MeshError
from cashier_mesh.processes import Process, describe_exit

PERIOD_S = 0.2
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 30.0
STABLE_AFTER_S = 60.0  # a process that lived this long starts again without delay debt


class Part(Protocol):
    """Anything that the mesh keeps alive."""

    name: str
    process: Process | None

    def start(self) -> object: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def running(self) -> bool: ...


class Watch:
    """A thread over some parts; `tell` gets one sentence per event.

    With `restart=False` it only tells. A part that somebody stops on purpose is left alone if its
    name is `excused` first.
    """

    def __init__(
        self, parts: Sequence[Part], tell: Callable[[str], None], *, restart: bool
    ) -> None:
        self._parts = parts
        self._tell = tell
        self._restart = restart
        self._excused: set[str] = set()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._delay_s: dict[str, float] = {}
        self._due_at: dict[str, float] = {}
        self._started_at: dict[str, float] = {}

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop watching; nothing is started again after this returns."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def excuse(self, name: str) -> None:
        """Leave a part alone: it is about to be stopped on purpose."""
        with self._lock:  # waits for a restart that is under way
            self._excused.add(name)
            self._due_at.pop(name, None)

    def resume(self, name: str) -> None:
        """Watch a part again."""
        with self._lock:
            self._excused.discard(name)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            for part in self._parts:
                with self._lock:
                    if part.name not in self._excused and not self._ended.is_set():
                        self._look_at(part)

    def _look_at(self, part: Part) -> None:
        now = time.monotonic()
        if part.running():
            if now - self._started_at.get(part.name, now) > STABLE_AFTER_S:
                self._delay_s.pop(part.name, None)
            return
        if part.name in self._due_at:
            if now >= self._due_at[part.name]:
                self._start(part, now)
            return
        code = part.process.exit_code() if part.process else None
        how = describe_exit(code) if code is not None else "no trace"
        if not self._restart:
            self._excused.add(part.name)
            self._tell(f"{part.name} ended with {how}; it stays down (restart is off)")
            return
        self._postpone(part, f"ended with {how}", now)

    def _start(self, part: Part, now: float) -> None:
        del self._due_at[part.name]
        try:
            part.start()
        except (MeshError, OSError) as error:
            self._postpone(part, f"did not start: {error}", now)
            return
        self._started_at[part.name] = now

    def _postpone(self, part: Part, trouble: str, now: float) -> None:
        delay_s = self._delay_s.get(part.name, BACKOFF_FIRST_S)
        self._delay_s[part.name] = min(delay_s * 2, BACKOFF_MAX_S)
        self._due_at[part.name] = now + delay_s
        self._tell(f"{part.name} {trouble}; it starts again in {delay_s:g} s")
