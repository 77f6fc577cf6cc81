"""The feed books every event exactly once, whatever breaks on the way."""

import asyncio
import random
import time
from contextlib import asynccontextmanager

import asyncpg
import grpc
import grpc.aio
import pytest

from cashier_common.db.audit import SHARD_COUNT
from cashier_common.db.engine import Database
from cashier_common.errors import PeerUnavailable
from cashier_recon.clients.router import RouterEvents, fed_event
from cashier_recon.flows.post_events import post_events
from cashier_recon.storage.unit import unit_factory
from cashier_recon.workers import feed as feed_module
from cashier_recon.workers.feed import Feed
from tests.support.recon_router import FakeRouter, Operation, event_of, plain_step

pytest_plugins = ["tests.support.recon_books"]
OK, DOUBT = Operation.STATE_SUCCEEDED, Operation.STATE_IN_DOUBT


@pytest.fixture
async def router():
    router = FakeRouter()
    await router.start()
    yield router
    await router.kill()


@asynccontextmanager
async def feeds(router, db, shards=range(SHARD_COUNT)):
    """Feeds of these shards over an own channel; leaving ends them wherever they are."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as channel:
        source, begin = RouterEvents(channel), unit_factory(db)
        made = [Feed(shard, source=source, begin=begin) for shard in shards]
        yield made
        for feed in made:
            await feed.close()


async def run_until_read(router, db, *, timeout_s=30.0):
    async with feeds(router, db) as made:
        tasks = [asyncio.create_task(_read(feed, router)) for feed in made]
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*tasks)


async def _read(feed, router):
    wanted = len(router.shards[feed.shard])
    while feed._after < wanted:
        await feed.step()


def a_busy_day(router, payments=300, seed=7):
    """Payments over all shards: declines, retries, doubts that end either way, refunds, payouts…"""
    rng = random.Random(seed)
    for number in range(1, payments + 1):
        shard, amount = number % SHARD_COUNT, rng.randint(1, 10_000)
        common = {"amount": amount, "asset": rng.choice(["EUR", "USD", "JPY"])}
        match number % 7:
            case 0:
                events = [
                    event_of(number, DOUBT, **common),
                    event_of(number, Operation.STATE_MANUAL_REVIEW, **common),
                    event_of(number, rng.choice([OK, Operation.STATE_NOT_FOUND]), **common),
                ]
            case 1:
                events = [
                    event_of(number, Operation.STATE_DECLINED_SOFT, **common),
                    event_of(number, OK, operation=2, **common),
                    event_of(number, OK, operation=2, **common),
                ]
            case 2:
                refund = {"kind": Operation.KIND_REFUND, "operation": 2, "amount": 1}
                events = [event_of(number, OK, **common), event_of(number, OK, **common | refund)]
            case 3:
                payout = {"kind": Operation.KIND_PAYOUT, "pays_out": True}
                events = [event_of(number, OK, **common, **payout)]
            case 4:
                capture = {"kind": Operation.KIND_CAPTURE, "operation": 2}
                events = [
                    event_of(number, OK, manual=True, **common),
                    event_of(number, OK, manual=True, **common | capture),
                ]
            case 5:
                events = [
                    event_of(number, Operation.STATE_SUBMITTING, **common),
                    event_of(number, Operation.STATE_PENDING, **common),
                    event_of(number, OK, **common),
                    event_of(number, OK, kind=Operation.KIND_REVERSAL, operation=2, **common),
                ]
            case _:
                events = [event_of(number, DOUBT, **common)]
        router.append(shard, [plain_step(number), *events])


async def test_every_operation_is_booked_and_the_ledger_sums_to_zero(router, recon_db, sql):
    a_busy_day(router)

    await run_until_read(router, recon_db)

    sums = await sql.fetch("SELECT asset, sum(amount) AS off FROM entries GROUP BY asset")
    states = dict(await sql.fetch("SELECT state, count(*) FROM expectations GROUP BY state"))
    succeeded = {
        event.operation.name
        for shard in router.shards.values()
        for event in shard
        if event.operation.state == OK
        and not (
            event.operation.kind == Operation.KIND_AUTHORIZE and event.payment.capture_method == 2
        )
    }
    assert {"EUR": 0, "USD": 0, "JPY": 0} == {row["asset"]: row["off"] for row in sums}
    assert len(succeeded) == await sql.fetchval("SELECT count(*) FROM journals") == states["OPEN"]
    assert states["DOUBT"] == len([n for n in range(1, 301) if n % 7 == 6])
    assert states["RELEASED"] == len([n for n in range(1, 301) if n % 7 == 4])


async def test_a_feed_that_is_killed_again_and_again_keeps_the_same_books(
    copies, router, recon_db, sql, books_of, monkeypatch
):
    a_busy_day(router)
    await run_until_read(router, recon_db)
    wanted = await books_of(sql)
    other = copies.of("recon")
    monkeypatch.setattr(feed_module, "BATCH_MAX", 23)
    monkeypatch.setattr(feed_module, "LINGER_S", 0.005)
    monkeypatch.setattr(feed_module, "BACK_OFF_FIRST_S", 0.01)
    rng = random.Random(3)
    router.cut_after = lambda: rng.randint(1, 60)
    db = await Database.connect(other.app_url, name="again")
    look = await asyncpg.connect(other.app_url)
    try:
        for kill in range(12):
            async with feeds(router, db) as made:
                tasks = [asyncio.create_task(_read(feed, router)) for feed in made]
                await asyncio.sleep(rng.uniform(0.01, 0.15))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            if kill % 4 == 3:
                await router.kill()
                await router.start()
        router.cut_after = None
        await run_until_read(router, db)

        assert wanted == await books_of(look)
    finally:
        await look.close()
        await db.close()
        copies.drop(other)


async def test_two_feeds_of_one_shard_book_once(router, recon_db, sql):
    a_busy_day(router, payments=120)

    await asyncio.gather(run_until_read(router, recon_db), run_until_read(router, recon_db))

    assert await sql.fetchval("SELECT count(*) FROM journals") == await sql.fetchval(
        "SELECT count(*) FROM expectations WHERE state = 'OPEN'"
    )
    assert 0 == await sql.fetchval("SELECT sum(amount) FROM entries")


async def test_an_event_that_cannot_be_booked_stops_its_shard_and_no_other(
    router, recon_db, sql, monkeypatch
):
    monkeypatch.setattr(feed_module, "STOPPED_RETRY_S", 0.0)
    for shard in (0, 1):
        router.append(shard, [event_of(10 * shard + n, OK) for n in range(1, 4)])
    router.append(0, [event_of(4, OK, asset="NOPE"), event_of(5, OK)])
    router.append(1, [event_of(15, OK)])

    async with feeds(router, recon_db, shards=(0, 1)) as (stopped, going):
        for _ in range(3):
            await stopped.step()
            await going.step()

    cursors = dict(await sql.fetch("SELECT shard, position FROM cursors"))
    assert {0: 3, 1: 4} == cursors
    assert "NOPE" in str(stopped.stopped_by)
    assert going.stopped_by is None
    assert 7 == await sql.fetchval("SELECT count(*) FROM journals")


async def test_a_decided_operation_that_changes_its_mind_stops_the_shard(router, recon_db, sql):
    router.append(0, [event_of(1, Operation.STATE_DECLINED_HARD)])
    await post(router, recon_db, after=0)
    router.append(0, [event_of(1, OK)])

    posting = await post(router, recon_db, after=1)

    assert "DECLINED" in str(posting.stopped_by)
    assert 1 == await sql.fetchval("SELECT position FROM cursors")
    assert 0 == await sql.fetchval("SELECT count(*) FROM journals")


async def test_an_amount_that_changes_after_it_was_booked_stops_the_shard(router, recon_db, sql):
    router.append(0, [event_of(1, OK, amount=500)])
    await post(router, recon_db, after=0)
    router.append(0, [event_of(1, OK, amount=501)])

    posting = await post(router, recon_db, after=1)

    assert posting.stopped_by is not None
    assert [500, -500] == [
        row[0] for row in await sql.fetch("SELECT amount FROM entries ORDER BY leg")
    ]


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED])
async def test_a_router_that_is_away_is_waited_for(router, recon_db, sql, monkeypatch, code):
    monkeypatch.setattr(feed_module, "BACK_OFF_FIRST_S", 0.01)
    router.append(0, [event_of(1, OK)])
    router.refuse_with = code

    async with feeds(router, recon_db, shards=(0,)) as (feed,):
        waited = await feed.step()
        router.refuse_with = None
        while feed._after < 1:
            await feed.step()

    assert 0 == waited
    assert 1 == await sql.fetchval("SELECT count(*) FROM journals")


async def test_a_router_that_is_not_there_is_told_from_an_empty_stream(recon_db):
    router = FakeRouter()
    await router.start()
    await router.kill()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as channel:
        with pytest.raises(PeerUnavailable):
            async for _ in RouterEvents(channel).events(0, after=0):
                pass


async def test_an_event_costs_less_than_a_third_of_a_millisecond(router, recon_db, sql):
    """CPU of this process for planning and statements; the database's own comes on top."""
    events = 4_000
    router.append(0, [event_of(number, OK) for number in range(1, events + 1)])
    fed = [fed_event(event, 0) for event in router.shards[0]]
    begin, after = unit_factory(recon_db), 0

    started, wall = time.process_time(), time.perf_counter()
    for place in range(0, events, 500):
        posting = await post_events(fed[place : place + 500], shard=0, after=after, begin=begin)
        after = posting.position
    cpu_ms = (time.process_time() - started) * 1_000 / events
    wall_ms = (time.perf_counter() - wall) * 1_000 / events

    print(f"\nposting: {cpu_ms:.3f} ms CPU here, {wall_ms:.3f} ms wall per event")
    assert 2 * events == await sql.fetchval("SELECT count(*) FROM entries")
    assert cpu_ms < 0.3


async def post(router, db, *, after):
    events = [fed_event(event, 0) for event in router.shards[0] if event.step.position > after]
    return await post_events(events, shard=0, after=after, begin=unit_factory(db))
