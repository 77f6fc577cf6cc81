"""Keeps the wards of a process in step with those of its replicas, and tells how they are."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from cashier_common.clock import Clock
from cashier_common.health.breaker import Breaker, State
from cashier_common.health.reading import PUBLISHED_TTL_S, Detail, Reading, encode, key_of
from cashier_common.health.tally import PPM, Counts
from cashier_common.health.ward import WHOLE, Exchange, Ward
from cashier_common.health.weight import (
    EVIDENCE_LIFE_MS,
    LOW_PPM,
    SAMPLES_MIN,
    SAMPLES_MIN_LOW,
    SLICE_MS,
    Weight,
    drift,
    weigh,
)
from cashier_common.health.window import BUCKET_MS, BUCKETS_MAX, bucket_of
from cashier_common.redis.windows import Seen, SharedWindows

FLUSH_S: Final = 0.2
"""How long what one replica saw stays its own."""
PUBLISH_MS: Final = 1_000
IDLE_MS: Final = 1_000
"""A scope without news is read this often, for what other replicas saw of it."""

_log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where readings are published; `cashier_common.redis.client.Hints` is one. Never raises."""

    async def evaluate(
        self, script: str, keys: list[str], arguments: list[str | int]
    ) -> object: ...

    async def hset(self, key: str, fields: Mapping[str, str], ttl_s: float) -> bool: ...

    async def publish(self, channel: str, message: str) -> bool: ...


@dataclass(slots=True)
class _Watched:
    """A ward and what the rounds know of it."""

    ward: Ward
    weights: dict[str, Weight]
    read_at_ms: int = 0


class Monitor:
    """All wards of one publisher. `store` is None where there is no Redis: each stands alone.

    `told_as` turns readings into what is published, where listeners know other names.
    """

    def __init__(
        self,
        publisher: str,
        clock: Clock,
        store: Store | None,
        *,
        told_as: Callable[[Sequence[Reading]], Sequence[Reading]] = lambda readings: readings,
        chance_ppm: Callable[[], int] = lambda: secrets.randbelow(PPM),
    ) -> None:
        self.publisher = publisher
        self._clock, self._store, self._chance_ppm = clock, store, chance_ppm
        self._told_as = told_as
        self._shared = SharedWindows(store, publisher) if store is not None else None
        self._watched: dict[str, _Watched] = {}
        self._offset_ms = int(clock.now().timestamp() * 1_000 - clock.monotonic() * 1_000)
        self._published_at_ms = 0
        self._is_alone: bool | None = None
        self._told: dict[tuple[str, str], Reading] = {}
        self._changed = asyncio.Event()

    def exchange(self, scope: str, segment: str, *, is_new: bool, limit: int = 0) -> Exchange:
        """Begin an exchange; see `Ward.exchange`. Takes microseconds and waits for nothing.

        `limit` bounds what is under way for the scope in this process; 0 means no bound.
        """
        ward = self.watch(scope)
        ward.limit = limit
        return ward.exchange(segment, is_new=is_new)

    def watch(self, scope: str) -> Ward:
        """The ward of a scope; from now on its health is told, whoever sees it."""
        watched = self._watched.get(scope)
        if watched is None:
            ward = Ward(scope, self._clock.monotonic)
            watched = self._watched[scope] = _Watched(ward, {})
        return watched.ward

    def now_ms(self) -> int:
        """The time that all replicas agree on, as near as it is known."""
        return int(self._clock.monotonic() * 1_000) + self._offset_ms

    async def run(self) -> None:
        """Share, judge and publish, until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception:  # noqa: BLE001 - a hint's fault must not end the hints
                _log.exception("health_turn_failed", publisher=self.publisher)
            await asyncio.sleep(FLUSH_S)

    async def turn(self) -> None:
        """One round over all scopes; publishes when a breaker moved or a second is over."""
        moved = await asyncio.gather(*(self._round(one) for one in list(self._watched.values())))
        now_ms = self.now_ms()
        if any(moved) or now_ms - self._published_at_ms >= PUBLISH_MS:
            self._published_at_ms = now_ms
            await self._publish(now_ms)

    def readings(self) -> list[Reading]:
        """Every segment of every scope, as it was told last."""
        return list(self._told.values())

    def details(self) -> list[Detail]:
        """The same at length, as of now."""
        return [self._detail(reading) for reading in self.readings()]

    async def wait_changed(self, timeout_s: float) -> bool:
        """Wait until a reading differs from the one before; False when the time was over first."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def _round(self, watched: _Watched) -> bool:
        """Bring one ward up to date; whether its breaker moved."""
        ward = watched.ward
        news, now_ms = ward.take(), self.now_ms()
        ward.note(news, now_ms)
        is_calm = ward.breaker.state is State.CLOSED and not news
        if is_calm and now_ms - watched.read_at_ms < IDLE_MS:
            return False
        watched.read_at_ms = now_ms
        before = ward.breaker
        await self._read(ward, news, now_ms)
        now_ms = self.now_ms()
        after = ward.next_breaker(now_ms, self._chance_ppm())
        if after is not ward.breaker:
            ward.adopt(await self._agree(ward, after, ward.breaker))
        if ward.breaker.state is State.HALF_OPEN:
            await self._permit(ward, now_ms)
        await self._learn(ward, now_ms)
        if ward.breaker.state is not before.state:
            if ward.breaker.state is State.CLOSED:
                watched.weights.clear()  # its probes are newer evidence than what made it low
            _log.warning(
                "breaker", scope=ward.scope, state=ward.breaker.state, before=before.state,
                trips=ward.breaker.trips,
            )  # fmt: skip
        return ward.breaker != before

    async def _read(self, ward: Ward, news: Mapping[str, Counts], now_ms: int) -> None:
        seen: Seen | None = None
        if self._shared is not None:
            read_from = max(ward.mirrored_to, bucket_of(now_ms) - BUCKETS_MAX + 1)
            seen = await self._shared.add_and_read(
                ward.scope, news, read_from=read_from, guess_ms=now_ms
            )
        ward.alone = seen is None
        self._say_whether_alone(is_alone=ward.alone)
        if seen is None:
            return
        self._offset_ms = seen.now_ms - int(self._clock.monotonic() * 1_000)
        for bucket, content in seen.buckets.items():
            ward.shared.put(bucket, content)
        ward.mirrored_to = bucket_of(seen.now_ms)
        known = seen.breaker or Breaker()
        if known.version >= ward.breaker.version:
            ward.adopt(known if seen.breaker else ward.breaker)
        else:  # we went on alone, and know more
            ward.adopt(await self._agree(ward, ward.breaker, known))

    async def _agree(self, ward: Ward, after: Breaker, before: Breaker) -> Breaker:
        """The record that stands when all had their say; ours while nobody can be asked."""
        if self._shared is None or ward.alone:
            return after
        return await self._shared.replace(ward.scope, before, after) or after

    async def _permit(self, ward: Ward, now_ms: int) -> None:
        most, breaker = ward.breaker.permits(now_ms), ward.breaker
        if self._shared is None or ward.alone:
            ward.grant_self(now_ms)
        elif ward.permits == 0:
            granted = await self._shared.claim(ward.scope, breaker, wanted=1, most=most)
            if granted and ward.breaker == breaker:
                ward.permits += granted
                ward.granted += granted

    async def _learn(self, ward: Ward, now_ms: int) -> None:
        """Once a slice of time: let the baselines of latency follow what the last one showed."""
        slice_number = now_ms // SLICE_MS
        if slice_number == ward.learned_slice:
            return
        ward.learned_slice = slice_number
        per_slice = SLICE_MS // BUCKET_MS
        first = (slice_number - 1) * per_slice
        drifted: dict[str, int] = {}
        for segment in (WHOLE, *ward.window.segments()):
            counts = ward.window.between(first, first + per_slice - 1, segment or None)
            baseline_ms = drift(ward.baselines.get(segment), counts)
            if baseline_ms is not None and baseline_ms != ward.baselines.get(segment):
                drifted[segment] = baseline_ms
        agreed = None
        if self._shared is not None and not ward.alone:
            agreed = await self._shared.learn(ward.scope, slice_number, drifted)
        ward.baselines = {**ward.baselines, **drifted} if agreed is None else agreed

    async def _publish(self, now_ms: int) -> None:
        told = {
            (reading.scope, reading.segment): reading
            for watched in list(self._watched.values())
            for reading in self._judged(watched, now_ms)
        }
        if told != self._told:
            self._told = told
            self._changed.set()
            self._changed = asyncio.Event()
        if self._store is None or self._is_alone or not told:
            return
        fields, key = encode(self._told_as(self.readings())), key_of(self.publisher)
        if await self._store.hset(key, fields, PUBLISHED_TTL_S):
            await self._store.publish(key, "heard")

    def _judged(self, watched: _Watched, now_ms: int) -> list[Reading]:
        """The whole first; a segment without evidence of its own has the whole's weight."""
        ward, weights = watched.ward, watched.weights
        now, since = bucket_of(now_ms), 0
        if ward.breaker.state is State.CLOSED:
            since = bucket_of(ward.breaker.since_ms)
        readings: list[Reading] = []
        for segment in (WHOLE, *sorted(ward.window.segments() | (weights.keys() - {WHOLE}))):
            before = weights.get(segment, Weight())
            least = SAMPLES_MIN_LOW if before.ppm < LOW_PPM else SAMPLES_MIN
            counts = ward.window.youngest(now, least=least, since=since, segment=segment or None)
            baseline_ms = ward.baselines.get(segment, ward.baselines.get(WHOLE))
            weight = weights[segment] = weigh(counts, baseline_ms, before, now_ms=now_ms)
            has_evidence = now_ms - weight.evident_at_ms <= EVIDENCE_LIFE_MS
            if segment != WHOLE and not has_evidence:
                del weights[segment]
                weight = weights[WHOLE]
            readings.append(
                Reading(ward.scope, segment, weight.ppm, ward.breaker.state, not ward.alone)
            )
        return readings

    def _detail(self, reading: Reading) -> Detail:
        ward, now = self._watched[reading.scope].ward, bucket_of(self.now_ms())
        counts = ward.window.between(now - BUCKETS_MAX + 1, now, reading.segment or None)
        baseline_ms = ward.baselines.get(reading.segment)
        return Detail(reading, ward.breaker, counts, baseline_ms)

    def _say_whether_alone(self, *, is_alone: bool) -> None:
        if is_alone is self._is_alone:
            return
        if is_alone and self._shared is not None:
            _log.warning("health_not_shared", publisher=self.publisher)
        elif self._is_alone is not None:
            _log.info("health_shared_again", publisher=self.publisher)
        self._is_alone = is_alone
