"""Replicas agree on one window, one breaker and so many probes, over a real Valkey."""

import asyncio
import time

import grpc.aio
import pytest

from cashier.common.v1 import instrument_pb2
from cashier.gateway.v1 import gateway_service_pb2
from cashier_common.clock import SystemClock
from cashier_common.health.breaker import State
from cashier_common.health.monitor import Monitor
from cashier_common.health.reading import key_of
from cashier_common.health.tally import Result, samples
from cashier_common.health.ward import Stop
from cashier_common.redis.client import Hints
from cashier_mesh.ports import free_port
from cashier_mesh.valkey import EmbeddedValkey
from cashier_router.clients.health import HealthTable
from tests.support.waiting import until

SCOPE, SEGMENT = "one", "CARD/USD/NA"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey"), free_port()) as server:
        yield server


@pytest.fixture
async def replicas(valkey, request):
    """Two replicas of one service, which nobody runs but the test."""
    hints = [await Hints.connect(valkey.url) for _ in range(2)]
    name = request.node.name
    monitors = [Monitor(name, SystemClock(), one, chance_ppm=lambda: 0) for one in hints]
    for monitor in monitors:
        monitor.watch(SCOPE)
    yield monitors
    for one in hints:
        await one.close()


def saw(monitor: Monitor, result: Result, count: int) -> None:
    for _ in range(count):
        with monitor.exchange(SCOPE, SEGMENT, is_new=False) as exchange:
            exchange.tell(result)


async def turned(*monitors: Monitor) -> None:
    """A turn of each, and of the first one again, so that all have read what all wrote."""
    for monitor in (*monitors, *monitors):
        monitor._watched[SCOPE].read_at_ms = monitor._published_at_ms = 0
        await monitor.turn()


async def test_both_see_what_either_saw(replicas):
    one, other = replicas
    saw(one, Result.SUCCESS, 7)
    saw(other, Result.SOFT_NO, 5)
    saw(other, Result.TIMED_OUT, 1)

    await turned(*replicas)

    for monitor in replicas:
        whole, segment = sorted(monitor.details(), key=lambda told: told.reading.segment)
        assert {Result.SUCCESS: 7, Result.SOFT_NO: 5, Result.TIMED_OUT: 1} == {
            code: count for code, count in whole.counts.items() if code < 16
        }
        assert 13 == samples(segment.counts)
        assert whole.reading.is_shared


async def test_one_breaker_opens_for_both_and_few_probes_are_shared_out(replicas):
    one, other = replicas
    saw(one, Result.FAILED, 6)
    saw(other, Result.FAILED, 5)

    await turned(*replicas)

    assert Stop.BREAKER_OPEN is one.exchange(SCOPE, SEGMENT, is_new=True).stop
    assert Stop.BREAKER_OPEN is other.exchange(SCOPE, SEGMENT, is_new=True).stop
    assert one.exchange(SCOPE, SEGMENT, is_new=False).stop is None  # what was begun is finished
    assert one.watch(SCOPE).breaker == other.watch(SCOPE).breaker

    async def half_open():
        await turned(*replicas)
        return all(m.watch(SCOPE).breaker.state is State.HALF_OPEN for m in replicas)

    await until(half_open, every_s=0.05)
    let_through = []
    for _ in range(6):
        await turned(*replicas)
        for monitor in replicas:
            exchange = monitor.exchange(SCOPE, SEGMENT, is_new=True)
            if exchange.stop is None:
                let_through.append(exchange)
    assert 3 <= len(let_through) <= 4

    for exchange in let_through:
        exchange.tell(Result.SUCCESS)
    await turned(*replicas)
    assert {State.CLOSED} == {monitor.watch(SCOPE).breaker.state for monitor in replicas}
    assert 1_000_000 == one.readings()[0].weight_ppm


async def test_without_redis_each_goes_on_alone_and_says_so(replicas, valkey):
    one, other = replicas
    saw(one, Result.SUCCESS, 3)
    await turned(*replicas)
    one._shared._scripts = other._shared._scripts = Away()

    saw(one, Result.FAILED, 20)
    await turned(*replicas)

    assert Stop.BREAKER_OPEN is one.exchange(SCOPE, SEGMENT, is_new=True).stop
    assert other.exchange(SCOPE, SEGMENT, is_new=True).stop is None
    assert not any(reading.is_shared for reading in [*one.readings(), *other.readings()])


async def test_what_was_decided_alone_is_told_when_redis_is_back(replicas):
    one, other = replicas
    scripts = one._shared._scripts
    one._shared._scripts = Away()
    saw(one, Result.FAILED, 20)
    await turned(*replicas)

    one._shared._scripts = scripts
    await turned(*replicas)

    assert State.CLOSED is not one.watch(SCOPE).breaker.state
    assert one.watch(SCOPE).breaker == other.watch(SCOPE).breaker


async def test_a_router_hears_of_an_open_breaker_at_once(valkey):
    hints = await Hints.connect(valkey.url)
    clock = SystemClock()
    monitor = Monitor("gateway", clock, hints)
    nobody = grpc.aio.insecure_channel("127.0.0.1:1")
    table = HealthTable({"gateway": nobody}, clock, scripts=hints, redis_url=valkey.url)
    listening = asyncio.gather(table._listen(), table._tick())
    monitor.watch(SCOPE)
    try:

        async def heard():
            await monitor.turn()
            return table.pictures()["gateway"].is_fresh

        await until(heard, every_s=0.05)
        saw(monitor, Result.FAILED, 20)
        began = time.monotonic()

        async def told():
            await monitor.turn()
            standing = table.pictures()["gateway"].of(SCOPE, SEGMENT)
            return standing and standing.reading.state is State.OPEN

        await until(told, every_s=0.05)
        assert time.monotonic() - began < 5
        assert (await hints.hgetall(key_of("gateway"))).keys() == {"one|", f"one|{SEGMENT}"}
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await nobody.close()
        await hints.close()


async def test_a_router_without_redis_asks_the_rail_itself():
    nobody = grpc.aio.insecure_channel("127.0.0.1:1")
    table = HealthTable({"gateway": nobody}, SystemClock(), scripts=None, redis_url="")
    table._stubs["gateway"] = Rail()
    running = asyncio.create_task(table.run())

    async def heard():
        return table.pictures()["gateway"].is_fresh

    try:
        await until(heard, every_s=0.05)
        whole, card = (table.pictures()["gateway"].of(SCOPE, part) for part in ("", SEGMENT))
        assert (State.OPEN, 0) == (whole.reading.state, whole.reading.weight_ppm)
        assert (State.CLOSED, 900_000) == (card.reading.state, card.reading.weight_ppm)
        assert not whole.reading.is_shared
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await nobody.close()


class Rail:
    """A rail that answers GetHealth."""

    async def GetHealth(self, request, **how):
        answer = gateway_service_pb2.GetHealthResponse()
        answer.accounts.add(
            processor_account=SCOPE, weight_ppm=0, breaker_state="BREAKER_STATE_OPEN"
        )
        answer.accounts.add(
            processor_account=SCOPE, method=instrument_pb2.PAYMENT_METHOD_CARD, asset_code="USD",
            country_group="NA", weight_ppm=900_000, breaker_state="BREAKER_STATE_CLOSED",
        )  # fmt: skip
        return answer


class Away:
    """Redis that is not there."""

    async def evaluate(self, script, keys, arguments):
        return None
