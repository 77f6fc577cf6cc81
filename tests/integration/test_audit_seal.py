"""Every step is sealed once and in order, however late it commits and whoever seals."""

import asyncio
import random
from datetime import timedelta

import asyncpg

from cashier_common.db import sealer as sealing
from cashier_common.db.audit import SHARD_COUNT, STEP, Sealer, read_sealed, shard_of
from tests.support.audit_book import a_step, book, faults, record, seal_all

__all__ = ["book"]
MERCHANTS = ["acme", "bingo", "casino", "dice", "eleven"]


async def test_steps_get_gapless_positions_per_shard_and_versions_keep_their_order(book):
    steps = [
        a_step(merchant, f"payments/{subject}", version)
        for merchant in MERCHANTS
        for subject in range(4)
        for version in range(1, 6)
    ]
    random.Random(7).shuffle(steps)
    steps.sort(key=lambda step: step["version"])
    sealers = [Sealer(book, batch_max=7), Sealer(book)]

    await record(book, *steps[:50])
    totals = await asyncio.gather(*map(seal_all, sealers))
    await record(book, *steps[50:])
    totals += await asyncio.gather(*map(seal_all, sealers))

    assert sum(totals) == len(steps)
    seen = []
    for shard in range(SHARD_COUNT):
        rows = await read_sealed(book, shard=shard, after=0)
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
        seen += rows
    for merchant in MERCHANTS:
        for subject in range(4):
            mine = [r for r in seen if (r.merchant, r.subject) == (merchant, f"payments/{subject}")]
            assert [row.version for row in mine] == [1, 2, 3, 4, 5]
    assert await faults(book) == []


async def test_a_row_that_commits_late_is_sealed_behind_younger_ones(book):
    sealer = Sealer(book)
    await record(book, a_step(subject="payments/early"))
    assert await seal_all(sealer) == 1

    async with book.begin() as late:
        await late.read(STEP, **a_step(subject="payments/late"))
        await record(book, a_step(subject="payments/younger"))
        assert await seal_all(sealer) == 1
        await asyncio.sleep(2.5)
        await sealer.seal()

    assert await seal_all(sealer) == 1
    rows = await read_sealed(book, shard=shard_of("acme"), after=0)
    assert [r.subject for r in rows] == ["payments/early", "payments/younger", "payments/late"]


async def test_a_version_that_follows_one_that_committed_late_waits_for_the_sweep(book, as_owner):
    """A look goes back one second only; it must not seal version 2 in front of version 1."""
    sealer = Sealer(book)
    await record(book, a_step(subject="payments/0"))
    assert await seal_all(sealer) == 1
    now = sealer._known[shard_of("acme")].looked

    await record(book, a_step(version=1), a_step(version=2), a_step(version=3))
    await as_owner(
        "UPDATE steps SET record_time = $1 WHERE subject <> 'payments/0' AND version = 1"
        " RETURNING 1",
        now - timedelta(seconds=3),
    )
    sealer._busy = True
    looked = await sealer.seal()
    sealer._known[shard_of("acme")].swept -= timedelta(seconds=2)
    swept = await seal_all(sealer)

    rows = await read_sealed(book, shard=shard_of("acme"), after=0)
    assert (looked, swept) == (0, 3)
    assert [row.version for row in rows] == [1, 1, 2, 3]


async def test_a_worker_rests_unless_there_is_more_to_seal_at_once(book):
    sealer = Sealer(book, batch_max=3)
    await record(book, *(a_step(version=version) for version in range(1, 6)))

    assert [await sealer.step() for _ in range(3)] == [3, 0, 0]
    assert len(await read_sealed(book, shard=shard_of("acme"), after=0)) == 5


async def test_a_sealer_that_starts_anew_finds_a_backlog_larger_than_its_watermark(
    book, as_owner, monkeypatch
):
    """The newest seal is young while most rows are older than the watermark: none is skipped."""
    await record(book, *(a_step(version=version) for version in range(1, 31)))
    await as_owner("UPDATE steps SET record_time = record_time - (31 - version) * interval '1 min'")
    assert await Sealer(book, batch_max=7).step() == 7

    sealed = await seal_all(Sealer(book, batch_max=7))

    assert sealed == 23
    rows = await read_sealed(book, shard=shard_of("acme"), after=0)
    assert [row.version for row in rows] == list(range(1, 31))


async def test_a_clock_that_steps_back_hides_no_row(book, as_owner):
    """After a failover the new primary's clock may be behind what was sealed last."""
    await record(book, a_step(version=1))
    await as_owner("UPDATE steps SET record_time = record_time + interval '1 hour'")
    before = Sealer(book)
    assert await seal_all(before) == 1

    await record(book, a_step(version=2))

    assert await seal_all(Sealer(book)) == 1
    await record(book, a_step(version=3))
    assert await seal_all(before) == 1


async def test_only_one_sealer_works_on_a_shard_at_a_time(book, sample_database):
    await record(book, a_step())
    other = await asyncpg.connect(sample_database.app_url)
    async with other.transaction():
        for shard in range(SHARD_COUNT):
            await other.execute(f"SELECT pg_advisory_xact_lock({sealing.LOCK_CLASS}, {shard})")

        assert await Sealer(book).seal() == 0

    assert await Sealer(book).seal() == 1
    await other.close()


async def test_a_sealer_that_first_found_its_shards_locked_still_learns_them_all(
    book, sample_database
):
    sealer = Sealer(book)
    other = await asyncpg.connect(sample_database.app_url)
    shard = shard_of("acme")
    async with other.transaction():
        await other.execute(f"SELECT pg_advisory_xact_lock({sealing.LOCK_CLASS}, {shard})")
        await sealer.step()
    await other.close()

    await record(book, a_step())

    assert await seal_all(sealer) == 1


async def test_an_idle_look_is_one_statement_on_indexes_alone(book, as_owner):
    await as_owner(
        "INSERT INTO steps SELECT n % 4, 'acme', 'payments/' || n, 1, '', '', '', '', '{}', "
        "sha256('{}'), '', now() - interval '1 hour' + n * interval '1 ms' "
        "FROM generate_series(1, 8000) n"
    )
    sealer = Sealer(book)
    assert await seal_all(sealer) == 8000
    await as_owner("VACUUM ANALYZE steps")
    await as_owner("VACUUM ANALYZE seals")
    seen: list[str] = []
    connection = await book._pool.take()
    connection.add_query_logger(lambda record: seen.append(record.query))
    book._pool.give_back(connection, clean=True)

    await sealer.step()
    await asyncio.sleep(0)
    lows = [sealer._known[shard].swept for shard in range(SHARD_COUNT)]
    plan = await as_owner("EXPLAIN " + sealing._PENDING.sql, list(range(SHARD_COUNT)), lows)

    text = "\n".join(row[0] for row in plan)
    assert len(seen) == 1
    assert "Index Only Scan using steps_shard_record_time_idx on steps" in text
    assert "seals_merchant_subject_version_key on seals" in text
    assert "Seq Scan" not in text
