"""Hints: Redis with short time-outs, whose absence is an answer and never an error."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Self, TypeAlias, TypeVar, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from cashier_common.redis.breaker import Breaker

CONNECT_TIMEOUT_S: Final = 0.1
"""In one data centre a connection takes under a millisecond."""
ANSWER_TIMEOUT_S: Final = 0.1
"""A hint that takes longer than the database saves nothing."""
POOL_SIZE: Final = 32
WAIT_FOR_CONNECTION_S: Final = 0.05

Value: TypeAlias = str | bytes | int
Answer: TypeAlias = int | bytes | str | list[Any] | None
T = TypeVar("T")

_log = structlog.get_logger(__name__)

# The first hit of a window starts its life, in one step: a crash between two would make it last.
_INCREMENT: Final = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if count == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count
"""


class Hints:
    """Answers None, False or nothing when Redis is away, late or wrong, and never raises.

    Whatever it says may be lost or old: ask it to be faster, never to decide. Keys that a script
    uses together share a hash tag (`{merchant}:…`), so that a Redis Cluster works.
    """

    def __init__(self, client: Redis, breaker: Breaker) -> None:
        self._client = client
        self._breaker = breaker
        self._digests: dict[str, str] = {}

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Hints on `redis://` or `rediss://`; opens nothing before the first use.

        Raises ValueError for a URL of another kind: that is a mistake in the settings.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=POOL_SIZE,
            timeout=WAIT_FOR_CONNECTION_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            # The breaker decides about trying again; the client's own way takes seconds.
            retry=Retry(NoBackoff(), 0),
        )
        return cls(Redis(connection_pool=pool), Breaker())

    @property
    def available(self) -> bool:
        """Whether the last tries were answered; asks nothing."""
        return self._breaker.state == "closed"

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        return cast("bytes | None", await self._ask(lambda: self._client.get(key), None))

    async def set(self, key: str, value: Value, ttl_s: float) -> bool:
        """Keep a value for `ttl_s` seconds; whether it was kept."""
        return bool(await self._ask(lambda: self._client.set(key, value, px=_ms(ttl_s)), None))

    async def set_if_absent(self, key: str, value: Value, ttl_s: float) -> bool | None:
        """Keep a value unless there is one: whether it was kept, None when nobody knows."""

        async def ask() -> bool:
            return bool(await self._client.set(key, value, px=_ms(ttl_s), nx=True))

        return await self._ask(ask, None)

    async def delete(self, key: str) -> bool:
        """Forget a value; whether Redis heard of it."""
        return await self._ask(lambda: self._client.delete(key), None) is not None

    async def hgetall(self, key: str) -> dict[str, bytes] | None:
        """All fields of a hash, empty where there is none; None when Redis is away."""
        found = await self._ask(lambda: self._client.hgetall(key), None)
        if found is None:
            return None
        return {name.decode(): value for name, value in cast("dict[bytes, bytes]", found).items()}

    async def hset(self, key: str, fields: Mapping[str, Value], ttl_s: float) -> bool:
        """Set fields of a hash and let all of it live for `ttl_s` seconds; whether it was kept."""

        async def ask() -> bool:
            async with self._client.pipeline(transaction=True) as both:
                both.hset(key, mapping=cast("Mapping[Any, Any]", fields))
                both.pexpire(key, _ms(ttl_s))
                await both.execute()
            return True

        return bool(await self._ask(ask, None))

    async def publish(self, channel: str, message: Value) -> bool:
        """Tell whoever listens now; whether Redis took it."""
        return await self._ask(lambda: self._client.publish(channel, message), None) is not None

    async def incr_window(self, key: str, window_s: float, by: int = 1) -> int | None:
        """Count in a window that starts with its first hit; the sum so far, or None."""
        count = await self.evaluate(_INCREMENT, [key], [by, _ms(window_s)])
        return None if count is None else int(cast("int", count))

    async def evaluate(
        self, script: str, keys: Sequence[str], arguments: Sequence[Value]
    ) -> Answer:
        """Run Lua at the server, by its digest where it is known there; None when Redis is away."""

        async def ask() -> Answer:
            run = cast("Callable[..., Awaitable[Answer]]", self._client.evalsha)
            places = (len(keys), *keys, *arguments)
            digest = self._digests.get(script)
            if digest is not None:
                try:
                    return await run(digest, *places)
                except NoScriptError:
                    pass  # it was restarted or flushed
            digest = self._digests[script] = await self._client.script_load(script)
            return await run(digest, *places)

        return await self._ask(ask, None)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def _ask(self, ask: Callable[[], Awaitable[T]], otherwise: T | None) -> T | None:
        if not self._breaker.allows():
            return otherwise
        try:
            # The client's time-outs are for each read and write; this is for the whole answer.
            async with asyncio.timeout(CONNECT_TIMEOUT_S + 2 * ANSWER_TIMEOUT_S):
                answer = await ask()
        except (RedisError, OSError, ValueError) as error:
            if self._breaker.failed():
                _log.warning("redis_away", error=f"{type(error).__name__}: {error}")
            return otherwise
        except BaseException:
            self._breaker.gave_up()
            raise
        if self._breaker.succeeded():
            _log.info("redis_back")
        return answer


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
