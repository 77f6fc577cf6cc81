"""Health windows in Redis: each replica adds what it saw and reads what all saw, in one script.

All keys of a scope share a hash tag and are named by the caller, so that a Redis Cluster works. The
server's clock numbers the buckets: one that it has left behind never changes again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from cashier_common.health.breaker import Breaker
from cashier_common.health.tally import CODE_MAX, Counts
from cashier_common.health.window import BUCKET_MS, BUCKETS_MAX, WINDOW_MS, bucket_of

BUCKET_TTL_MS: Final = WINDOW_MS + 10_000
RECORD_TTL_MS: Final = 600_000
"""A breaker that nobody looked at for ten minutes begins anew."""
BASELINE_TTL_MS: Final = 86_400_000
PERMITS_TTL_MS: Final = 60_000
AHEAD: Final = 2
"""Buckets that the server's clock may be ahead of what we take it for."""

# KEYS: the breaker's record, then a bucket each. ARGV: bucket size, number of the first bucket,
# a bucket's life in ms, then field and count of what to add.
_ADD_AND_READ: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local place = math.floor(now / tonumber(ARGV[1])) - tonumber(ARGV[2])
if place < 0 or place > #KEYS - 2 then return {now} end
if #ARGV > 3 then
    local mine = KEYS[place + 2]
    for i = 4, #ARGV, 2 do redis.call('HINCRBY', mine, ARGV[i], ARGV[i + 1]) end
    redis.call('PEXPIRE', mine, ARGV[3])
end
local out = {now, redis.call('GET', KEYS[1]) or ''}
for i = 2, place + 2 do out[#out + 1] = redis.call('HGETALL', KEYS[i]) end
return out
"""
_COMPARE_AND_SET: Final = """
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return found end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return ARGV[2]
"""
# ARGV: how many are wanted, how many there may be, life in ms.
_CLAIM: Final = """
local left = tonumber(ARGV[2]) - tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[1]), left))
if granted > 0 then
    redis.call('INCRBY', KEYS[1], granted)
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return granted
"""
# ARGV: the slice of time, life in ms, then segment and baseline. The first one of a slice stands.
_LEARN: Final = """
local slice = tonumber(ARGV[1])
for i = 3, #ARGV, 2 do
    local old = redis.call('HGET', KEYS[1], ARGV[i])
    if not old or tonumber(string.match(old, '^%d+')) < slice then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[1] .. ' ' .. ARGV[i + 1])
    end
end
if #ARGV > 2 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('HGETALL', KEYS[1])
"""


class Scripts(Protocol):
    """Runs Lua at the server; None when it cannot be reached. Never raises."""

    async def evaluate(
        self, script: str, keys: list[str], arguments: list[str | int]
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What all replicas saw: buckets by number and segment, at the server's time."""

    now_ms: int
    breaker: Breaker | None
    buckets: Mapping[int, dict[str, Counts]] = field(default_factory=dict)


class SharedWindows:
    """The windows of one publisher's scopes; every method answers None when Redis is away."""

    def __init__(self, scripts: Scripts, publisher: str) -> None:
        self._scripts, self._publisher = scripts, publisher

    async def add_and_read(
        self, scope: str, news: Mapping[str, Counts], *, read_from: int, guess_ms: int
    ) -> Seen | None:
        """Add `news` to the bucket of now, and read all buckets from `read_from` on."""
        for _ in range(2):  # the second time with the server's own clock
            last = bucket_of(guess_ms) + AHEAD
            first = max(read_from, last - AHEAD - BUCKETS_MAX + 1)
            keys = [self._key(scope, "breaker")]
            keys += [self._key(scope, f"w:{bucket}") for bucket in range(first, last + 1)]
            arguments: list[str | int] = [BUCKET_MS, first, BUCKET_TTL_MS]
            for segment, counts in news.items():
                for code, count in counts.items():
                    arguments += [f"{code}:{segment}", count]
            out = await self._scripts.evaluate(_ADD_AND_READ, keys, arguments)
            if not isinstance(out, list):
                return None
            guess_ms = int(out[0])
            if len(out) > 1:
                found = {first + place: _content(flat) for place, flat in enumerate(out[2:])}
                return Seen(guess_ms, Breaker.decode(out[1].decode()), found)
            read_from = min(read_from, bucket_of(guess_ms))
        return None

    async def replace(self, scope: str, before: Breaker, after: Breaker) -> Breaker | None:
        """Write the record where it is still `before` or there is none; the one that stands."""
        key = self._key(scope, "breaker")
        for expected in (before.encode(), ""):
            out = await self._scripts.evaluate(
                _COMPARE_AND_SET, [key], [expected, after.encode(), RECORD_TTL_MS]
            )
            if not isinstance(out, bytes):
                return None
            if out:
                return Breaker.decode(out.decode()) or after
        return before

    async def claim(self, scope: str, breaker: Breaker, *, wanted: int, most: int) -> int | None:
        """So many of the probes that all replicas may let through together."""
        key = self._key(scope, f"permits:{breaker.version}:{breaker.since_ms}")
        out = await self._scripts.evaluate(_CLAIM, [key], [wanted, most, PERMITS_TTL_MS])
        return out if isinstance(out, int) else None

    async def learn(
        self, scope: str, slice_number: int, baselines: Mapping[str, int]
    ) -> dict[str, int] | None:
        """Write baselines that a slice of time led to, unless somebody was first; all of them."""
        arguments: list[str | int] = [slice_number, BASELINE_TTL_MS]
        for segment, baseline_ms in baselines.items():
            arguments += [segment, baseline_ms]
        out = await self._scripts.evaluate(_LEARN, [self._key(scope, "baseline")], arguments)
        if not isinstance(out, list):
            return None
        texts = [text.decode() for text in out]
        return {
            segment: int(text.partition(" ")[2])
            for segment, text in zip(texts[::2], texts[1::2], strict=True)
        }

    def _key(self, scope: str, what: str) -> str:
        return f"cashier:health:{{{self._publisher}/{scope}}}:{what}"


def _content(flat: list[bytes]) -> dict[str, Counts]:
    content: dict[str, Counts] = {}
    for name, count in zip(flat[::2], flat[1::2], strict=True):
        code, _, segment = name.decode().partition(":")
        if code.isdigit() and int(code) <= CODE_MAX:
            content.setdefault(segment, {})[int(code)] = int(count)
    return content
