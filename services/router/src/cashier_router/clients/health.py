"""What the rails tell of their accounts' health, as the flows see it: heard in the background.

Redis brings it (a message says that there is news, a hash holds them); while that is silent, each
rail is asked by GetHealth. No payment ever waits for either.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import grpc
import structlog

from cashier.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc
from cashier_common.clock import Clock
from cashier_common.health.breaker import State
from cashier_common.health.reading import PUBLISHED_TTL_S, Reading, decode, key_of
from cashier_common.redis.subscription import messages
from cashier_router.clients.rail_codec import method_name
from cashier_router.domain.health import FRESH_MS, Picture

TICK_S: Final = 0.25
READ_EVERY_MS: Final = 2_000
"""Also without a message: one may be lost."""
ASK_AFTER_MS: Final = FRESH_MS // 2
ASK_TIMEOUT_S: Final = 2.0
AGAIN_S: Final = 1.0

_Health = gateway_service_pb2.GetHealthResponse.AccountHealth
_STATES: Final = {_Health.BreakerState.Value(f"BREAKER_STATE_{state}"): state for state in State}
_READ: Final = """
return {redis.call('PTTL', KEYS[1]), redis.call('HGETALL', KEYS[1])}
"""
_log = structlog.get_logger(__name__)


class Scripts(Protocol):
    """Runs Lua at the server; None when it cannot be reached. Never raises."""

    async def evaluate(
        self, script: str, keys: Sequence[str], arguments: Sequence[str]
    ) -> object: ...


class HealthTable:
    """`flows.ports.Health`: the picture of each rail, kept up by `run`."""

    def __init__(
        self,
        channels: Mapping[str, grpc.aio.Channel],
        clock: Clock,
        *,
        scripts: Scripts | None,
        redis_url: str,
    ) -> None:
        self._stubs = {
            rail: gateway_service_pb2_grpc.GatewayServiceStub(channel)
            for rail, channel in channels.items()
        }
        self._pictures = {rail: Picture() for rail in channels}
        self._clock, self._scripts, self._redis_url = clock, scripts, redis_url
        self._moved_at_s = clock.monotonic()

    def pictures(self) -> Mapping[str, Picture]:
        """As of the last tick, a quarter of a second ago at most."""
        return self._pictures

    async def run(self) -> None:
        """Hear and let time pass, until cancelled."""
        loops: list[Callable[[], Awaitable[None]]] = [self._tick]
        loops += [partial(self._ask, rail) for rail in self._stubs]
        if self._scripts is not None:
            loops += [self._listen]
            loops += [partial(self._read_again, rail) for rail in self._stubs]
        await asyncio.gather(*(_forever(loop) for loop in loops))

    def hear(self, rail: str, news: Sequence[Reading], age_ms: int = 0) -> None:
        """Take up what a rail tells, unless it is older than what is known."""
        self._let_time_pass()
        picture = self._pictures[rail]
        if news and age_ms <= picture.age_ms:
            self._pictures[rail] = picture.heard(news, age_ms)

    def _let_time_pass(self) -> None:
        now_s = self._clock.monotonic()
        elapsed_ms = int((now_s - self._moved_at_s) * 1_000)
        if elapsed_ms > 0:
            self._moved_at_s += elapsed_ms / 1_000
            self._pictures = {
                rail: picture.later(elapsed_ms) for rail, picture in self._pictures.items()
            }

    async def _tick(self) -> None:
        while True:
            self._let_time_pass()
            await asyncio.sleep(TICK_S)

    async def _listen(self) -> None:
        rails = {key_of(rail): rail for rail in self._stubs}
        async for channel, _ in messages(self._redis_url, list(rails)):
            if channel in rails:
                await self._read(rails[channel])

    async def _read_again(self, rail: str) -> None:
        while True:
            if self._pictures[rail].age_ms >= READ_EVERY_MS:
                await self._read(rail)
            await asyncio.sleep(READ_EVERY_MS / 1_000)

    async def _read(self, rail: str) -> None:
        if self._scripts is None:
            return
        out = await self._scripts.evaluate(_READ, [key_of(rail)], [])
        if not isinstance(out, list) or not out[1]:
            return
        left_ms, flat = out
        names = [name.decode() for name in flat[::2]]
        news = decode(dict(zip(names, flat[1::2], strict=True)))
        self.hear(rail, news, max(0, int(PUBLISHED_TTL_S * 1_000) - int(left_ms)))

    async def _ask(self, rail: str) -> None:
        """Ask the rail itself while nothing else brings its news."""
        is_silent = False
        while True:
            await asyncio.sleep(ASK_AFTER_MS / 2_000)
            if self._pictures[rail].age_ms < ASK_AFTER_MS:
                continue
            news: list[Reading] = []
            with contextlib.suppress(grpc.aio.AioRpcError):
                answer = await self._stubs[rail].GetHealth(
                    gateway_service_pb2.GetHealthRequest(), timeout=ASK_TIMEOUT_S
                )
                news = [_reading(health) for health in answer.accounts]
            self.hear(rail, news)
            if is_silent is bool(news):
                is_silent = not news
                _log.warning("health_not_heard" if is_silent else "health_heard_again", rail=rail)


async def _forever(loop: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await loop()
        except Exception:  # noqa: BLE001 - health is a hint: what breaks here is told and begun anew
            _log.exception("health_loop_failed")
        await asyncio.sleep(AGAIN_S)


def _reading(health: gateway_service_pb2.GetHealthResponse.AccountHealth) -> Reading:
    method = method_name(health.method)
    is_whole = not (method or health.asset_code or health.country_group)
    return Reading(
        scope=health.processor_account,
        segment="" if is_whole else f"{method}/{health.asset_code}/{health.country_group}",
        weight_ppm=health.weight_ppm,
        state=_STATES.get(health.breaker_state, State.CLOSED),
        is_shared=health.replicas_agree,
    )
