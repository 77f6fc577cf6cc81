"""One scope under watch in this process: what is under way, what came of it, whether more may go.

Everything here is in memory and takes microseconds; `monitor` shares it with other replicas.
"""

from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from cashier_common.health.breaker import Breaker, State, step
from cashier_common.health.tally import (
    FAULTS,
    Counts,
    Result,
    add,
    latency_code,
)
from cashier_common.health.weight import SAMPLES_MIN
from cashier_common.health.window import Window, bucket_of

LATE_FIRST_S: Final = 1.0
"""What is under way for so long tells its age as a latency, and again whenever that has doubled:
what hangs is noticed long before it times out."""
WHOLE: Final = ""
"""The segment that stands for all of a scope."""


class Stop(StrEnum):
    """Why nothing new may be sent; nothing was."""

    BREAKER_OPEN = "BREAKER_OPEN"
    PROBES_TAKEN = "PROBES_TAKEN"  # half-open, and others find out
    LIMIT_REACHED = "LIMIT_REACHED"  # so many are under way already


class Exchange:
    """One exchange under way: a context manager; `tell` what it came to, or it is not counted."""

    __slots__ = ("_began_s", "_is_probe", "_late_at_s", "_segment", "_version", "_ward", "stop")

    def __init__(self, ward: "Ward", segment: str, stop: Stop | None) -> None:
        self._ward, self._segment, self.stop = ward, segment, stop
        self._began_s = ward.monotonic()
        self._late_at_s = self._began_s + LATE_FIRST_S
        self._version = ward.breaker.version
        self._is_probe = ward.breaker.state is State.HALF_OPEN

    def __enter__(self) -> Self:
        if self.stop is None:
            self._ward.under_way.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ward.under_way.discard(self)

    def tell(self, result: Result) -> None:
        """Count what it came to.

        A fault that began before the breaker's last turn tells of another time and is left out; so
        is the latency of what failed without an answer at once.
        """
        ward = self._ward
        is_fault = result in FAULTS
        is_of_now = self._version == ward.breaker.version
        if is_fault and not is_of_now:
            return
        counts = ward.fresh.setdefault(self._segment, {})
        add(counts, result)
        if result is not Result.FAILED:
            add(counts, latency_code((ward.monotonic() - self._began_s) * 1_000))
        if self._is_probe and is_of_now:
            add(counts, Result.PROBE_BAD if is_fault else Result.PROBE_GOOD)

    def tell_age(self, now_s: float) -> None:
        """Count its age as a latency where it is late."""
        if now_s < self._late_at_s:
            return
        age_s = now_s - self._began_s
        self._late_at_s = now_s + age_s
        add(self._ward.fresh.setdefault(self._segment, {}), latency_code(age_s * 1_000))


class Ward:
    """One scope. `limit` bounds what is under way in this process; 0 means no bound.

    `fresh` is what nobody else knows yet. `own` is this process's window, `shared` the one that all
    replicas agree on; `alone` says which of them counts.
    """

    def __init__(self, scope: str, monotonic: Callable[[], float]) -> None:
        self.scope, self.monotonic = scope, monotonic
        self.limit = 0
        self.fresh: dict[str, Counts] = {}
        self.under_way: set[Exchange] = set()
        self.own, self.shared = Window(), Window()
        self.alone = True
        self.breaker = Breaker()
        self.permits = 0
        self.granted = 0  # to this process for the half-open breaker, where nobody else grants any
        self.mirrored_to = 0
        self.baselines: dict[str, int] = {}
        self.learned_slice = 0

    @property
    def window(self) -> Window:
        """The window that counts now."""
        return self.own if self.alone else self.shared

    def exchange(self, segment: str, *, is_new: bool) -> Exchange:
        """Begin one; where it is new its `stop` may say that it must not be sent.

        What is not new (it finishes what was begun, or asks what became of it) is never stopped.
        """
        return Exchange(self, segment, self._stop() if is_new else None)

    def take(self) -> dict[str, Counts]:
        """What came since the last time, the ages of what is late among it."""
        now_s = self.monotonic()
        for exchange in self.under_way:
            exchange.tell_age(now_s)
        taken, self.fresh = self.fresh, {}
        return taken

    def note(self, taken: dict[str, Counts], now_ms: int) -> None:
        """Put what was taken into this process's own window."""
        bucket = bucket_of(now_ms)
        for segment, counts in taken.items():
            for code, count in counts.items():
                self.own.count(bucket, segment, code, count)
        self.own.prune(bucket)
        self.shared.prune(bucket)

    def evidence(self, now_ms: int) -> Counts:
        """What the breaker's next step is decided by."""
        since, now = bucket_of(self.breaker.since_ms), bucket_of(now_ms)
        if self.breaker.state is State.CLOSED:
            return self.window.youngest(now, least=SAMPLES_MIN, since=since)
        return self.window.between(since, now)

    def next_breaker(self, now_ms: int, chance_ppm: int) -> Breaker:
        """The breaker's record as these counts would have it; the same one where nothing moves."""
        return step(self.breaker, self.evidence(now_ms), now_ms=now_ms, chance_ppm=chance_ppm)

    def adopt(self, breaker: Breaker) -> bool:
        """Take up the record; whether it is another one. Permits are for one record alone."""
        if breaker == self.breaker:
            return False
        self.breaker = breaker
        self.permits = self.granted = 0
        return True

    def grant_self(self, now_ms: int) -> None:
        """Give out probes alone: nobody else can be asked."""
        allowed = self.breaker.permits(now_ms)
        self.permits += max(0, allowed - self.granted)
        self.granted = max(self.granted, allowed)

    def _stop(self) -> Stop | None:
        if self.limit and len(self.under_way) >= self.limit:
            return Stop.LIMIT_REACHED
        if self.breaker.state is State.OPEN:
            return Stop.BREAKER_OPEN
        if self.breaker.state is State.HALF_OPEN:
            if self.permits <= 0:
                return Stop.PROBES_TAKEN
            self.permits -= 1
        return None
