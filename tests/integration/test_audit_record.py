"""The record: a step is written with its transition, in one way, and read by position."""

# ruff: noqa: PT012 - a unit of work fails at its end, so its whole block stands inside `raises`

import pytest
import sqlalchemy as sa

from cashier_common.db.audit import ADVANCE, CURSOR, STEP, AuditBroken, CursorAhead, read_sealed
from cashier_common.db.failures import ConstraintBroken, WriteMissed
from cashier_common.db.record import TABLES
from cashier_common.db.transaction import compiled
from cashier_common.errors import CursorExpired
from tests.support.audit_book import a_step, book, record, ten_steps

__all__ = ["book", "ten_steps"]
STEPS_OF = compiled(sa.text("SELECT count(*) AS n FROM steps"))


async def test_a_step_belongs_to_its_transition_and_a_version_exists_once(book):
    await record(book, a_step())

    with pytest.raises(ConstraintBroken) as broken:
        await record(book, a_step())

    assert broken.value.constraint == "steps_pkey"


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
