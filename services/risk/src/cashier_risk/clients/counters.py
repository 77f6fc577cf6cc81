"""Velocity in Redis: one script, one round trip, and a mark that says whether it may be believed.

Each track of each subject is a sorted set of payments by time, so counting the same payment twice
counts once. A merchant's keys share a hash tag. The mark holds the server's run id as it was when
the sets were filled from the truth: after a restart, a failover or a flush it does not match, and
until the next filling every answer says that it is not to be trusted.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from cashier_risk.domain.velocity import COUNT_MAX, Series, Subjects, Track
from cashier_risk.flows.ports import Counted, Event

# KEYS: the mark, then one set per track. ARGV: payment, now in ms, whether to distrust what is
# there, then for each set: whether to add, its retention in ms, its shorter window in ms (or 0).
COUNT: Final = f"""
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if ARGV[3] == '1' then redis.call('DEL', KEYS[1]) end
local out = {{redis.call('GET', KEYS[1]) == run and 1 or 0}}
local now = tonumber(ARGV[2])
for i = 2, #KEYS do
    local place = 3 + (i - 2) * 3
    local keep, short = tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3])
    if ARGV[place + 1] == '1' then
        redis.call('ZADD', KEYS[i], 'NX', now, ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - keep)
        redis.call('ZREMRANGEBYRANK', KEYS[i], 0, -{COUNT_MAX + 1})
        redis.call('PEXPIRE', KEYS[i], keep)
    end
    if short > 0 then
        out[#out + 1] = redis.call('ZCOUNT', KEYS[i], '(' .. (now - short), now)
    end
    out[#out + 1] = redis.call('ZCOUNT', KEYS[i], '(' .. (now - keep), now)
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
TRUST: Final = """
if ARGV[1] ~= string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
LOAD_MAX: Final = 1_000
"""Events per script call: Redis answers nobody else meanwhile, so about a millisecond."""
_MS: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


Answer = int | bytes | str | list[Any] | None


class Scripts(Protocol):
    """Runs Lua at the server; None when it cannot be reached. Never raises."""

    async def evaluate(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> Answer: ...


class RedisCounters:
    """The counters on Redis or Valkey (`maxmemory-policy noeviction`, or keys go unseen)."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        # Merchants of whom an event could not be added: their mark goes with the next contact.
        self._missed: set[str] = set()

    async def attempt(self, subjects: Subjects, payment: str, at: datetime) -> Counted | None:
        """Count an attempt and read every meter; an attempt counts itself."""
        tracks = subjects.tracks()
        out = await self._count(subjects.merchant, tracks, payment, at, adds=Series.ATTEMPTS)
        if out is None:
            return None
        trusted, *numbers = (int(number) for number in out)
        meters = [meter for track, _ in tracks for meter in track.meters]
        return Counted(dict(zip(meters, numbers, strict=True)), trusted=trusted == 1)

    async def happened(
        self, series: Series, subjects: Subjects, payment: str, at: datetime
    ) -> None:
        """Count a decline or a dispute; what could not be counted costs the merchant's mark."""
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
                arguments += [event.payment, _ms(event.at), event.track.retention // _MS]
            keys = [_key(merchant, event.track, event.key) for event in part]
            if await self._scripts.evaluate(LOAD, keys, arguments) is None:
                return False
        return True

    async def trust(self, merchant: str, generation: str) -> bool:
        """Set the mark, if the server is still the one that was filled."""
        return await self._scripts.evaluate(TRUST, [_mark(merchant)], [generation]) == 1

    async def _count(
        self,
        merchant: str,
        tracks: Sequence[tuple[Track, str]],
        payment: str,
        at: datetime,
        *,
        adds: Series,
    ) -> list[Any] | None:
        distrust = merchant in self._missed
        arguments: list[str | int] = [payment, _ms(at), 1 if distrust else 0]
        keys = [_mark(merchant)]
        for track, key in tracks:
            keys.append(_key(merchant, track, key))
            short = track.windows[0][1] // _MS if len(track.windows) > 1 else 0
            arguments += [1 if track.series is adds else 0, track.retention // _MS, short]
        out = await self._scripts.evaluate(COUNT, keys, arguments)
        if not isinstance(out, list):
            self._missed.add(merchant)
            return None
        if distrust:
            self._missed.discard(merchant)
        return out


def _mark(merchant: str) -> str:
    return f"risk:{{{merchant}}}:filled"


def _key(merchant: str, track: Track, key: str) -> str:
    """The subject is hashed: keys stay short, and no customer's id stands in a key."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return f"risk:{{{merchant}}}:{track.series}:{track.subject}:{digest}"


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // _MS
