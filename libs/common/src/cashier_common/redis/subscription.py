"""Messages that somebody publishes in Redis, for as long as somebody listens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

CONNECT_TIMEOUT_S: Final = 0.5
SILENCE_S: Final = 5.0
"""A connection that said nothing for so long is asked whether it lives."""
AGAIN_S: Final = 0.5

_log = structlog.get_logger(__name__)


async def messages(url: str, channels: Sequence[str]) -> AsyncIterator[tuple[str, bytes]]:
    """Channel and message, as they come; it waits out an absence of Redis and never raises."""
    is_away = False
    while True:
        client = Redis.from_url(
            url, socket_connect_timeout=CONNECT_TIMEOUT_S, health_check_interval=SILENCE_S
        )
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as line:
                await line.subscribe(*channels)
                if is_away:
                    _log.info("subscription_back", channels=list(channels))
                    is_away = False
                while True:
                    found = await line.get_message(timeout=SILENCE_S)
                    if found is not None and found["type"] == "message":
                        yield found["channel"].decode(), found["data"]
        except (RedisError, OSError) as error:
            if not is_away:
                _log.warning("subscription_away", error=f"{type(error).__name__}: {error}")
            is_away = True
        finally:
            await client.aclose()
        await asyncio.sleep(AGAIN_S)
