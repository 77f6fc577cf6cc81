"""The record: sealed once, in order, readable by position, and nobody can change it unseen."""

# ruff: noqa: PT012 - a unit of work fails at its end, so its whole block stands inside `raises`

import asyncio
import random
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from cashier_common.db import sealer as sealing
from cashier_common.db.audit import (
    ADVANCE,
    CURSOR,
    SHARD_COUNT,
    STEP,
    AuditBroken,
    CursorAhead,
    Fault,
    Sealer,
    read_sealed,
    shard_of,
    step_params,
    verify,
)
from cashier_common.db.engine import Database
from cashier_common.db.failures import ConstraintBroken, WriteMissed
from cashier_common.db.record import GENESIS, TABLES, chain_hash
from cashier_common.db.transaction import compiled
from cashier_common.errors import CursorExpired

MERCHANTS = ["acme", "bingo", "casino", "dice", "eleven"]


def a_step(merchant: str = "acme", subject: str = "payments/1", version: int = 1, **other: Any):
    return step_params(
        **{
            "merchant": merchant,
            "subject": subject,
            "version": version,
            "actor": "spiffe://cashier.local/service/router",
            "action": "SUBMIT",
            "before_state": "CREATED",
            "after_state": "SUBMITTING",
            "payload": {"amount_minor": 100, "asset": "EUR"},
            "traceparent": "",
            **other,
        }
    )


@pytest.fixture
async def book(sample_database):
    db = await Database.connect(sample_database.app_url, name="test")
    yield db
    await db.close()


async def record(book: Database, *steps: dict[str, object]) -> None:
    for step in steps:
        async with book.begin() as tx:
            tx.write(STEP, **step)


async def seal_all(sealer: Sealer) -> int:
    total = 0
    while sealed := await sealer.seal():
        total += sealed
    return total


async def faults(book: Database, **range_: Any) -> list[tuple[Fault, int, str, int]]:
    found = await verify(book, **range_)
    return [(f.fault, f.position, f.subject, f.version) for f in found.findings]


@pytest.fixture
async def ten_steps(book):
    """Ten versions of one payment, sealed at positions 1 to 10 of one shard."""
    await record(book, *(a_step(version=version) for version in range(1, 11)))
    assert await seal_all(Sealer(book)) == 10
    return shard_of("acme")


async def test_a_step_belongs_to_its_transition_and_a_version_exists_once(book):
    await record(book, a_step())

    with pytest.raises(ConstraintBroken) as broken:
        await record(book, a_step())

    assert broken.value.constraint == "steps_pkey"


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


async def test_a_consumer_reads_by_position_and_keeps_its_cursor_in_its_own_unit(book, ten_steps):
    first = await read_sealed(book, shard=ten_steps, after=0, limit=4)
    async with book.begin() as tx:
        tx.write(ADVANCE, source="router", shard=ten_steps, position=4, seen=0)

    cursor = await book.fetch_one(CURSOR, source="router", shard=ten_steps)
    assert cursor is not None
    rest = await read_sealed(book, shard=ten_steps, after=cursor["position"])

    assert [row.position for row in [*first, *rest]] == list(range(1, 11))
    with pytest.raises(WriteMissed):  # another replica moved it meanwhile
        async with book.begin() as tx:
            tx.write(ADVANCE, source="router", shard=ten_steps, position=8, seen=0)


async def test_a_cursor_that_is_too_old_or_too_new_is_refused(book, ten_steps, as_owner):
    await as_owner("DELETE FROM seals WHERE position <= 3")

    with pytest.raises(CursorExpired):
        await read_sealed(book, shard=ten_steps, after=2)
    with pytest.raises(CursorAhead, match="ends at 10"):
        await read_sealed(book, shard=ten_steps, after=11)

    assert len(await read_sealed(book, shard=ten_steps, after=3)) == 7
    assert await read_sealed(book, shard=ten_steps, after=10) == []


async def test_a_consumer_stops_in_front_of_a_step_that_is_gone(book, ten_steps, as_owner):
    await as_owner("DELETE FROM steps WHERE version = 5")

    with pytest.raises(AuditBroken, match="position 5"):
        await read_sealed(book, shard=ten_steps, after=0)

    assert len(await read_sealed(book, shard=ten_steps, after=0, limit=4)) == 4


async def test_an_untouched_record_verifies_and_tells_its_heads(book, ten_steps):
    found = await verify(book)

    assert found.findings == []
    assert found.checked == 10
    assert found.complete
    assert found.heads[ten_steps][0] == 10


@pytest.mark.parametrize(
    "column",
    [
        "actor = 'x'",
        "action = 'x'",
        "before_state = 'x'",
        "after_state = 'x'",
        "traceparent = 'x'",
        "payload = '{}'",
        "payload = '{}', payload_hash = sha256('{}')",
        "record_time = record_time + interval '1 microsecond'",
        "shard = 99",
    ],
)
async def test_a_changed_column_is_found(book, ten_steps, as_owner, column):
    await as_owner(f"UPDATE steps SET {column} WHERE version = 5")  # noqa: S608 - a tamperer

    found = await faults(book)

    assert found == [(Fault.CHANGED, 5, "payments/1", 5)]


async def test_a_deleted_step_is_found(book, ten_steps, as_owner):
    await as_owner("DELETE FROM steps WHERE version = 5")

    found = await faults(book)

    assert found == [(Fault.MISSING, 5, "payments/1", 5)]


async def test_a_step_that_is_deleted_with_its_seal_is_found(book, ten_steps, as_owner):
    await as_owner("DELETE FROM steps WHERE version = 5; DELETE FROM seals WHERE version = 5")

    found = await faults(book)

    assert found == [(Fault.MISSING, 5, "", 0)]


async def test_a_renumbered_step_is_found(book, ten_steps, as_owner):
    await as_owner("UPDATE steps SET version = 50 WHERE version = 5")
    await as_owner("UPDATE steps SET record_time = record_time - interval '1 min' WHERE version=50")

    found = await faults(book)

    assert found == [(Fault.MISSING, 5, "payments/1", 5), (Fault.UNSEALED, 0, "payments/1", 50)]


async def test_two_seals_that_changed_places_are_found(book, ten_steps, as_owner):
    await as_owner(
        "ALTER TABLE seals DROP CONSTRAINT seals_position_positive_check;"
        "UPDATE seals SET position = -position WHERE position IN (4, 5);"
        "UPDATE seals SET position = 9 + position WHERE position < 0"
    )

    found = await faults(book)

    assert {fault for fault, *_ in found} == {Fault.REORDERED}
    assert {position for _, position, *_ in found} >= {4, 5}


async def test_versions_that_were_sealed_in_the_wrong_order_are_found(book, ten_steps, as_owner):
    """A chain that was computed anew hides nothing: the versions themselves tell."""
    rows = await as_owner("SELECT * FROM seals WHERE $1 ORDER BY position", True)
    order = [rows[place] for place in (0, 2, 1, *range(3, 10))]
    await as_owner("DELETE FROM seals")
    chain = GENESIS
    for position, row in enumerate(order, start=1):
        chain = chain_hash(chain, position, row["step_hash"])
        await as_owner(
            "INSERT INTO seals VALUES ($1, $2, $3, $4, $5, $6, $7)",
            row["shard"],
            position,
            row["merchant"],
            row["subject"],
            row["version"],
            row["step_hash"],
            chain,
        )

    found = await faults(book)

    assert found == [(Fault.REORDERED, 2, "payments/1", 3)]


async def test_a_row_that_is_older_than_five_seconds_and_not_sealed_is_found(
    book, ten_steps, as_owner
):
    await record(book, a_step(version=11), a_step(version=12))
    await as_owner("UPDATE steps SET record_time = record_time - interval '6 s' WHERE version = 11")

    found = await faults(book)

    assert found == [(Fault.UNSEALED, 0, "payments/1", 11)]


async def test_a_range_is_verified_against_the_seal_before_it(book, ten_steps, as_owner):
    await as_owner("UPDATE steps SET actor = 'x' WHERE version IN (2, 8)")

    assert await faults(book, shard=ten_steps, from_position=3) == [
        (Fault.CHANGED, 8, "payments/1", 8)
    ]
    assert await faults(book, shard=ten_steps, from_position=9) == []
    assert await faults(book, shard=ten_steps, from_position=11) == []
    assert [fault for fault, *_ in await faults(book, shard=ten_steps, from_position=13)] == [
        Fault.MISSING
    ]


async def test_a_long_record_is_verified_in_chunks(book, as_owner, monkeypatch):
    monkeypatch.setattr("cashier_common.db.verify.CHUNK_ROWS", 7)
    await record(book, *(a_step(version=version) for version in range(1, 31)))
    await seal_all(Sealer(book))
    await as_owner("UPDATE steps SET actor = 'x' WHERE version IN (7, 8, 30)")
    await as_owner("DELETE FROM seals WHERE version = 14")
    await as_owner("UPDATE steps SET record_time = record_time - interval '1 h' WHERE version = 14")

    found = await faults(book)

    assert found == [
        (Fault.CHANGED, 7, "payments/1", 7),
        (Fault.CHANGED, 8, "payments/1", 8),
        (Fault.MISSING, 14, "", 0),
        (Fault.CHANGED, 30, "payments/1", 30),
        (Fault.UNSEALED, 0, "payments/1", 14),
    ]


@pytest.mark.parametrize("payload", [{"rate": 0.1}, {"list": [{"deep": 1.5}]}])
def test_a_float_never_gets_into_the_record(payload):
    with pytest.raises(TypeError, match="float"):
        a_step(payload=payload)


def test_the_payload_is_written_in_one_way_only():
    one, other = a_step(payload={"b": 1, "a": "é"}), a_step(payload={"a": "é", "b": 1})

    assert one == other
    assert one["payload"] == '{"a":"é","b":1}'


async def test_the_tables_are_what_the_library_says(book, as_owner):
    rows = await as_owner(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1",
        "public",
    )
    there = {(row[0], row[1]) for row in rows}

    for table in (TABLES.steps, TABLES.seals, TABLES.cursors):
        assert {(table.name, column.name) for column in table.columns} == {
            pair for pair in there if pair[0] == table.name
        }
    assert sa.inspect(TABLES.steps).primary_key.columns.keys() == ["merchant", "subject", "version"]


STEPS_OF = compiled(sa.text("SELECT count(*) AS n FROM steps"))


async def test_a_transition_that_lost_its_race_leaves_no_step(book):
    wallets = sa.table("wallets", sa.column("name", sa.Text), sa.column("balance", sa.BigInteger))
    move = compiled(
        sa.update(wallets).where(wallets.c.name == sa.bindparam("who")).values(balance=1)
    )

    with pytest.raises(WriteMissed):
        async with book.begin() as tx:
            tx.write(move, who="nobody")
            tx.write(STEP, **a_step())

    counted = await book.fetch_one(STEPS_OF)
    assert counted is not None
    assert counted["n"] == 0
