"""Hints answer at once and never raise, whatever happens to the server."""

import asyncio
import time

import pytest
import structlog
from redis.asyncio import Redis

from cashier_common.redis import breaker
from cashier_common.redis.client import Hints
from cashier_mesh.ports import free_port
from cashier_mesh.valkey import EmbeddedValkey


@pytest.fixture
def valkey(tmp_path):
    with EmbeddedValkey(tmp_path / "valkey", free_port()) as server:
        yield server


@pytest.fixture
async def hints(valkey):
    client = await Hints.connect(valkey.url)
    yield client
    await client.close()


async def test_what_was_set_is_found_until_its_time_is_over(hints):
    assert await hints.get("a") is None
    assert await hints.set("a", "1", ttl_s=0.2)
    assert await hints.get("a") == b"1"

    await asyncio.sleep(0.3)

    assert await hints.get("a") is None


async def test_the_first_of_two_sets_it(hints):
    assert [await hints.set_if_absent("a", value, ttl_s=5) for value in "xy"] == [True, False]
    assert await hints.get("a") == b"x"
    assert await hints.delete("a")
    assert await hints.set_if_absent("a", "z", ttl_s=5)


async def test_a_hash_is_kept_and_read_as_a_whole(hints):
    assert await hints.hgetall("h") == {}
    assert await hints.hset("h", {"a": 1, "b": b"x"}, ttl_s=0.2)
    assert await hints.hgetall("h") == {"a": b"1", "b": b"x"}

    await asyncio.sleep(0.3)

    assert await hints.hgetall("h") == {}


async def test_a_window_counts_and_ends(hints):
    counts = [await hints.incr_window("w", window_s=0.3) for _ in range(3)]
    counts.append(await hints.incr_window("w", window_s=0.3, by=5))

    await asyncio.sleep(0.4)

    assert counts == [1, 2, 3, 8]
    assert await hints.incr_window("w", window_s=0.3) == 1


async def test_a_script_runs_also_after_the_server_forgot_it(hints, valkey):
    script = "return {KEYS[1], ARGV[1] + 1}"

    first = await hints.evaluate(script, ["k"], [1])
    async with Redis.from_url(valkey.url) as admin:
        await admin.script_flush()
    again = await hints.evaluate(script, ["k"], [2])

    assert [first, again] == [[b"k", 2], [b"k", 3]]


async def test_a_message_reaches_who_listens(hints, valkey):
    async with Redis.from_url(valkey.url) as listener, listener.pubsub() as channel:
        await channel.subscribe("news")
        await channel.get_message(timeout=1)

        assert await hints.publish("news", "hello")

        message = await channel.get_message(ignore_subscribe_messages=True, timeout=1)
    assert message is not None
    assert message["data"] == b"hello"


async def test_a_killed_server_costs_nobody_time_and_is_found_again(hints, valkey):
    await hints.set("a", "1", ttl_s=60)
    with structlog.testing.capture_logs() as logs:
        valkey.kill()
        started = time.monotonic()
        answers = [
            await hints.get("a"),
            await hints.set("a", "2", ttl_s=60),
            await hints.set_if_absent("b", "2", ttl_s=60),
            await hints.hgetall("h"),
            await hints.publish("news", "hello"),
            await hints.incr_window("w", window_s=60),
            await hints.evaluate("return 1", [], []),
            await hints.delete("a"),
        ]
        refused_in_s = time.monotonic() - started
        started = time.monotonic()
        for _ in range(1000):
            await hints.get("a")
        thousand_in_s = time.monotonic() - started
        valkey.start()
        assert not hints.available
        await asyncio.sleep(breaker.OPEN_S)
        found = await hints.incr_window("w", window_s=60)

    assert answers == [None, False, None, None, False, None, None, False]
    assert refused_in_s < 0.5
    assert thousand_in_s < 0.5
    assert found == 1
    assert hints.available
    assert [entry["event"] for entry in logs] == ["redis_away", "redis_back"]


async def test_a_server_that_accepts_and_says_nothing_costs_little(monkeypatch):
    async def silence(_reader, writer):
        await asyncio.sleep(30)
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hints = await Hints.connect(f"redis://127.0.0.1:{port}/0")
    started = time.monotonic()

    answers = [await hints.get("a") for _ in range(breaker.FAILURES_MAX + 100)]

    assert set(answers) == {None}
    assert time.monotonic() - started < 2
    await hints.close()
    server.close()


async def test_cancelled_callers_leave_no_answer_to_others(hints):
    for number in range(60):
        await hints.set(f"k{number}", number, ttl_s=60)
    for number in range(60):
        task = asyncio.create_task(hints.get(f"k{number}"))
        await asyncio.sleep(0.00005 * (number % 12))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    answers = [await hints.get(f"k{number}") for number in range(60)]

    assert answers == [str(number).encode() for number in range(60)]


async def test_a_url_of_another_kind_is_a_mistake_of_the_settings():
    with pytest.raises(ValueError, match="scheme"):
        await Hints.connect("http://127.0.0.1:1")
