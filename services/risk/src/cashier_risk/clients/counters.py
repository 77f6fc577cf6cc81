"""Velocity in Redis: one script, one round trip, and a mark that says whether it may be believed.

Each track of each subject is a sorted set of payments by time, so counting the same payment twice
counts once. A merchant's keys share a hash tag. The mark holds the server's run id as it was when
the sets were filled from the truth: after a restart, a failover or a flush it does not match, and
until the next filling every answer says that it is not to be trusted.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from cashier_common.tasks import TaskGroup
from cashier_risk.domain.velocity import COUNT_MAX, Series, Subjects, Track
from cashier_risk.flows.ports import Counted, Event

# KEYS: the mark, then the sets in order. ARGV: how many things to count, then for each its
# payment, its time in ms and its number of sets, then for each set: whether to add, its retention
# in ms, its shorter window in ms (or 0).
COUNT: Final = f"""
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local out = {{redis.call('GET', KEYS[1]) == run and 1 or 0}}
local place, set = 1, 1
for _ = 1, tonumber(ARGV[1]) do
    local payment, now = ARGV[place + 1], tonumber(ARGV[place + 2])
    local sets = tonumber(ARGV[place + 3])
    place = place + 3
    for _ = 1, sets do
        set = set + 1
        local key = KEYS[set]
        local keep, short = tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3])
        if ARGV[place + 1] == '1' then
            redis.call('ZADD', key, 'NX', now, payment)
            redis.call('ZREMRANGEBYSCORE', key, '-inf', now - keep)
            redis.call('ZREMRANGEBYRANK', key, 0, -{COUNT_MAX + 1})
            redis.call('PEXPIRE', key, keep)
        end
        if short > 0 then
            out[#out + 1] = redis.call('ZCOUNT', key, '(' .. (now - short), now)
        end
        out[#out + 1] = redis.call('ZCOUNT', key, '(' .. (now - keep), now)
        place = place + 3
    end
end
return out
"""
# KEYS: one set per event. ARGV: for each, payment, time in ms, retention in ms.
LOAD: Final = """
for i = 1, #KEYS do
    local place = (i - 1) * 3
    redis.call('ZADD', KEYS[i], 'NX', ARGV[place + 2], ARGV[place + 1])
    redis.call('PEXPIRE', KEYS[i], ARGV[place + 3])
end
return #KEYS
"""
GENERATION: Final = "return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')"
MARKED: Final = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
return redis.call('GET', KEYS[1]) == run and 1 or 0
"""
DISTRUST: Final = "return redis.call('DEL', KEYS[1])"
TRUST: Final = """
if ARGV[1] ~= string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
LOAD_MAX: Final = 200
"""Events per script call: neither Redis nor this process answers anybody else meanwhile."""
BATCH_MAX: Final = 32
"""Attempts per script call: calls of one merchant that wait together travel together."""
TRIES: Final = 2
"""A busy process may see one late answer; two in a row mean that the counters are away."""
MISSED_MAX: Final = 10_000
"""Events that wait for the counters' return; beyond it a merchant is filled anew."""
_MS: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


Answer = int | bytes | str | list[Any] | None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One thing to count, and whoever waits for its numbers (None: they could not be had)."""

    tracks: Sequence[tuple[Track, str]]
    payment: str
    at: datetime
    adds: Series
    answer: asyncio.Future[list[int] | None]


class Scripts(Protocol):
    """Runs Lua at the server; None when it cannot be reached. Never raises."""

    async def evaluate(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> Answer: ...


class RedisCounters:
    """The counters on Redis or Valkey (`maxmemory-policy noeviction`, or keys go unseen)."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        # What could not be added, by merchant; None when it was too much to remember.
        self._missed: dict[str, list[Event] | None] = {}
        self._lines: dict[str, list[_Waiting]] = {}
        self._tasks = TaskGroup()

    async def attempt(self, subjects: Subjects, payment: str, at: datetime) -> Counted | None:
        """Count an attempt and read every meter; an attempt counts itself."""
        tracks = subjects.tracks()
        out = await self._count(subjects.merchant, tracks, payment, at, adds=Series.ATTEMPTS)
        if out is None:
            return None
        trusted, *numbers = out
        meters = [meter for track, _ in tracks for meter in track.meters]
        whole = trusted == 1 and subjects.merchant not in self._missed
        return Counted(dict(zip(meters, numbers, strict=True)), trusted=whole)

    async def happened(
        self, series: Series, subjects: Subjects, payment: str, at: datetime
    ) -> None:
        """Count a decline or a dispute; what could not be counted is remembered."""
        tracks = subjects.tracks(series)
        if tracks:
            await self._count(subjects.merchant, tracks, payment, at, adds=series)

    async def generation(self, merchant: str) -> str | None:
        """The run id of the server that holds this merchant's keys."""
        run = await self._scripts.evaluate(GENERATION, [_mark(merchant)], [])
        return run.decode() if isinstance(run, bytes) else str(run) if run else None

    async def load(self, merchant: str, events: Sequence[Event]) -> bool:
        """Add events; each counts once, also when it is there already."""
        for start in range(0, len(events), LOAD_MAX):
            part = events[start : start + LOAD_MAX]
            arguments: list[str | int] = []
            for event in part:
                arguments += [event.payment, _ms(event.at), event.track.retention_ms]
            keys = [_key(merchant, event.track, event.key) for event in part]
            if await self._scripts.evaluate(LOAD, keys, arguments) is None:
                return False
        return True

    async def trust(self, merchant: str, generation: str) -> bool:
        """Set the mark, if the server is still the one that was filled."""
        return await self._scripts.evaluate(TRUST, [_mark(merchant)], [generation]) == 1

    async def mend(self, merchant: str) -> bool:
        """Add what was missed; False when that is not enough to be trusted again."""
        missed = self._missed.get(merchant, [])
        known = len(missed) if missed is not None else 0
        if missed and not await self.load(merchant, missed[:known]):
            return False
        if missed is None:
            await self._scripts.evaluate(DISTRUST, [_mark(merchant)], [])
            del self._missed[merchant]
            return False
        del missed[:known]  # some may have been missed meanwhile
        if not missed:
            self._missed.pop(merchant, None)
        return not missed and await self._scripts.evaluate(MARKED, [_mark(merchant)], []) == 1

    async def _count(
        self,
        merchant: str,
        tracks: Sequence[tuple[Track, str]],
        payment: str,
        at: datetime,
        *,
        adds: Series,
    ) -> list[int] | None:
        """Stand in the merchant's line; whoever comes first in an empty one starts to serve it."""
        answer: asyncio.Future[list[int] | None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(tracks, payment, at, adds, answer)
        line = self._lines.get(merchant)
        if line is None:
            self._lines[merchant] = [waiting]
            self._tasks.start(self._serve(merchant))
        else:
            line.append(waiting)
        return await answer

    async def _serve(self, merchant: str) -> None:
        """Send the line in batches, one at a time, until nobody stands in it."""
        line = self._lines[merchant]
        try:
            while line:
                batch = line[:BATCH_MAX]
                del line[:BATCH_MAX]
                await self._send(merchant, batch)
        finally:
            del self._lines[merchant]
            for waiting in line:  # only when something was raised: nobody may wait for ever
                waiting.answer.cancel()

    async def _send(self, merchant: str, batch: Sequence[_Waiting]) -> None:
        keys: list[str] = [_mark(merchant)]
        arguments: list[str | int] = [len(batch)]
        for waiting in batch:
            arguments += [waiting.payment, _ms(waiting.at), len(waiting.tracks)]
            for track, key in waiting.tracks:
                keys.append(_key(merchant, track, key))
                arguments += [int(track.series is waiting.adds), track.retention_ms, track.short_ms]
        out = None
        for _ in range(TRIES):  # adding twice adds once
            out = await self._scripts.evaluate(COUNT, keys, arguments)
            if isinstance(out, list):
                break
        place = 1
        for waiting in batch:
            numbers: list[int] | None = None
            if isinstance(out, list):
                end = place + sum(len(track.windows) for track, _ in waiting.tracks)
                numbers = [int(out[0]), *map(int, out[place:end])]
                place = end
            else:
                self._remember(merchant, waiting)
            if not waiting.answer.done():  # its call may have ended meanwhile
                waiting.answer.set_result(numbers)

    def _remember(self, merchant: str, waiting: _Waiting) -> None:
        missed = self._missed.setdefault(merchant, [])
        if missed is None or len(missed) >= MISSED_MAX:
            self._missed[merchant] = None
            return
        missed += [
            Event(track, key, waiting.payment, waiting.at)
            for track, key in waiting.tracks
            if track.series is waiting.adds
        ]


def _mark(merchant: str) -> str:
    return f"risk:{{{merchant}}}:filled"


def _key(merchant: str, track: Track, key: str) -> str:
    """The subject is hashed: keys stay short, and no customer's id stands in a key."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return f"risk:{{{merchant}}}:{track.series.value}:{track.subject.value}:{digest}"


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // _MS
