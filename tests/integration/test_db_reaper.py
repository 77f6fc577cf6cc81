"""Idempotency keys are forgotten when they are old enough, and not a moment before."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from cashier_common.db.engine import Database
from cashier_common.db.failures import CommitUnknown
from cashier_common.db.reaper import REAP_BATCH_MAX, Reaper
from cashier_common.settings import KEY_LIFE_MIN_DAYS, KeyedSettings, SettingsRefused, load
from cashier_common.worker import Worker, run_workers

OLD = timedelta(days=30, seconds=1)
YOUNG = timedelta(days=30) - timedelta(minutes=1)


@pytest.fixture
async def book(sample_database):
    db = await Database.connect(sample_database.app_url, name="test", pool_size=4)
    yield db
    await db.close()


@pytest.fixture
async def owner(sample_database):
    connection = await asyncpg.connect(sample_database.owner_url)
    yield connection
    await connection.close()


async def write_keys(owner, name, count, age):
    await owner.execute(
        "INSERT INTO requests SELECT 'acme', $1 || n, '', '', '', clock_timestamp() - $2::interval "
        "FROM generate_series(1, $3) n",
        name, age, count,
    )  # fmt: skip


async def keys(owner):
    rows = await owner.fetch("SELECT rtrim(key, '0123456789') AS name FROM requests")
    return {row["name"]: sum(r["name"] == row["name"] for r in rows) for row in rows}


def reaper(book, days=KEY_LIFE_MIN_DAYS):
    return Reaper(book, key_life_days=days)


async def test_old_keys_are_forgotten_in_batches_and_young_ones_stay(book, owner):
    await write_keys(owner, "old", 1_500, OLD)
    await write_keys(owner, "young", 700, YOUNG)

    first = await reaper(book).step()
    left = await keys(owner)
    second = await reaper(book).step()

    assert (REAP_BATCH_MAX, 0) == (first, second), "less than a batch: the worker rests"
    assert {"old": 500, "young": 700} == left
    assert {"young": 700} == await keys(owner)


async def test_a_longer_life_is_kept_to(book, owner):
    await write_keys(owner, "kept", 3, timedelta(days=89))
    await write_keys(owner, "old", 3, timedelta(days=91))

    await reaper(book, days=90).step()

    assert {"kept": 3} == await keys(owner)


async def test_two_replicas_share_the_work_and_never_wait_for_each_other(book, owner):
    await write_keys(owner, "old", 4 * REAP_BATCH_MAX, OLD)
    await write_keys(owner, "young", 10, YOUNG)
    async with owner.transaction():  # a replica that stands still with its batch in hand
        held = await owner.fetch(
            "SELECT key FROM requests WHERE key LIKE 'old%' ORDER BY key LIMIT 1000 FOR UPDATE"
        )

        reaped = await asyncio.gather(*(reaper(book).step() for _ in range(3)))
        rest = await reaper(book).step()

        assert 1_000 == len(held)
    assert ([REAP_BATCH_MAX] * 3, 0) == (reaped, rest)
    assert {"old": 1_000, "young": 10} == await keys(owner)


async def test_a_crash_in_the_middle_of_a_batch_forgets_none_of_it(book, owner):
    await write_keys(owner, "old", 300, OLD)
    await owner.execute(
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF OLD.key = 'old200' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; "
        "RETURN OLD; END $$"
    )
    await owner.execute(
        "CREATE TRIGGER crash BEFORE DELETE ON requests FOR EACH ROW EXECUTE FUNCTION crash()"
    )

    with pytest.raises(CommitUnknown):
        await reaper(book).step()

    assert {"old": 300} == await keys(owner)
    await owner.execute("DROP TRIGGER crash ON requests")
    await reaper(book).step()
    assert {} == await keys(owner)


async def test_the_worker_forgets_everything_old_and_then_rests(book, owner):
    await write_keys(owner, "old", 2_500, OLD)
    await write_keys(owner, "young", 5, YOUNG)
    stop = asyncio.Event()
    working = asyncio.create_task(run_workers([Worker("reaper", reaper(book).step, 60.0)], stop))
    async with asyncio.timeout(10):
        while (await keys(owner)) != {"young": 5}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    stop.set()
    await working


def test_a_life_below_the_minimum_is_refused_by_the_piece_and_by_the_setting(monkeypatch):
    with pytest.raises(ValueError, match="29 days: a replay is answered for at least 30"):
        Reaper(None, key_life_days=29)
    monkeypatch.setenv("CASHIER_IDEMPOTENCY_KEY_LIFE_DAYS", "29")
    with pytest.raises(SettingsRefused, match="CASHIER_IDEMPOTENCY_KEY_LIFE_DAYS"):
        load(KeyedSettings)
    monkeypatch.setenv("CASHIER_IDEMPOTENCY_KEY_LIFE_DAYS", "30")
    assert 30 == load(KeyedSettings).idempotency_key_life_days
