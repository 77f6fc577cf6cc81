"""A unit of work happens as a whole or not at all, and says which."""

# ruff: noqa: PT012 - a unit of work fails at its end, so its whole block stands inside `raises`

import asyncio
import hashlib
import uuid
from datetime import UTC, datetime

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from cashier_common.db.engine import Database
from cashier_common.db.failures import ConstraintBroken, WriteMissed
from cashier_common.db.schema import EXPECT_ROWS
from cashier_common.db.transaction import compiled
from cashier_common.errors import RaceLost, StoreUnavailable

metadata = sa.MetaData()
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("balance", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)
everything = sa.Table(
    "everything",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("digest", sa.LargeBinary),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("units", sa.Numeric(78, 0)),
    sa.Column("facts", JSONB),
    sa.Column("mood", sa.Enum("GOOD", "BAD", name="mood")),
    sa.Column("tags", ARRAY(sa.Text)),
    sa.Column("small", sa.SmallInteger),
    sa.Column("yes", sa.Boolean),
)
ADD = compiled(sa.insert(accounts))
ADD_IF_NEW = compiled(insert(accounts).on_conflict_do_nothing())
MOVE = compiled(
    sa.update(accounts)
    .where(accounts.c.name == sa.bindparam("who"), accounts.c.version == sa.bindparam("seen"))
    .values(balance=accounts.c.balance + sa.bindparam("by"), version=accounts.c.version + 1)
)
FIND = compiled(sa.select(accounts).where(accounts.c.name == sa.bindparam("who")))
ALL = compiled(sa.select(accounts).order_by(accounts.c.name))
LOCK = compiled(sa.select(accounts).where(accounts.c.name == sa.bindparam("who")).with_for_update())
BACKEND = compiled(sa.select(sa.func.pg_backend_pid().label("pid")))

TABLES = """
CREATE TABLE accounts (name text PRIMARY KEY, version bigint NOT NULL,
    balance bigint NOT NULL CONSTRAINT accounts_balance_not_negative CHECK (balance >= 0));
CREATE TYPE mood AS ENUM ('GOOD', 'BAD');
CREATE TABLE everything (id uuid PRIMARY KEY, digest bytea, at timestamptz, units numeric(78, 0),
    facts jsonb, mood mood, tags text[], small smallint, yes boolean);
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, everything TO cashier_sample_app;
"""


@pytest.fixture
async def book(db, as_owner):
    await as_owner(EXPECT_ROWS)
    await as_owner(TABLES)
    await db.execute(ADD, name="ada", balance=100, version=1)
    await db.execute(ADD, name="bob", balance=0, version=1)
    return db


async def balances(book: Database) -> dict[str, int]:
    return {row["name"]: row["balance"] for row in await book.fetch(ALL)}


async def test_collected_writes_happen_together(book):
    async with book.begin() as tx:
        out = tx.write(MOVE, who="ada", seen=1, by=-30)
        into = tx.write(MOVE, who="bob", seen=1, by=30)

    assert {"ada": 70, "bob": 30} == await balances(book)
    assert (1, 1) == (out.rows, into.rows)


async def test_reads_see_what_was_and_writes_follow_in_the_same_transaction(book):
    async with book.begin() as tx:
        ada = await tx.read_one(LOCK, who="ada")
        assert ada is not None
        tx.write(MOVE, who="ada", seen=ada["version"], by=-ada["balance"])
        tx.write(ADD, name="eve", balance=ada["balance"], version=1)

    assert {"ada": 0, "bob": 0, "eve": 100} == await balances(book)


async def test_one_missed_write_undoes_all_and_raises_its_own_refusal(book):
    with pytest.raises(RaceLost, match="bob was changed"):
        async with book.begin() as tx:
            tx.write(MOVE, who="ada", seen=1, by=-30, refusal=lambda: RaceLost("ada"))
            tx.write(MOVE, who="bob", seen=99, by=30, refusal=lambda: RaceLost("bob"))

    assert {"ada": 100, "bob": 0} == await balances(book)


async def test_a_missed_write_without_a_refusal_names_statement_and_counts(book):
    with pytest.raises(WriteMissed, match="write 0 touched 0 rows and expected 1: UPDATE accounts"):
        async with book.begin() as tx:
            tx.write(MOVE, who="nobody", seen=1, by=1)


async def test_a_missed_insert_of_one_row_is_refused_without_a_second_statement(book):
    with pytest.raises(RaceLost):
        async with book.begin() as tx:
            tx.write(ADD_IF_NEW, name="ada", balance=1, version=1, refusal=lambda: RaceLost("ada"))

    assert 100 == (await balances(book))["ada"]


async def test_a_miss_after_a_read_rolls_back_too(book):
    with pytest.raises(WriteMissed):
        async with book.begin() as tx:
            await tx.read_one(FIND, who="ada")
            tx.write(MOVE, who="ada", seen=1, by=5)
            tx.write(MOVE, who="ada", seen=7, by=5)

    assert 100 == (await balances(book))["ada"]
    assert 0 == book._pool.lent


async def test_any_number_of_rows_is_taken_where_none_is_expected(book):
    async with book.begin() as tx:
        missed = tx.write(MOVE, who="nobody", seen=1, by=1, expect=None)
        moved = tx.write(MOVE, who="bob", seen=1, by=1, expect=None)

    assert (0, 1) == (missed.rows, moved.rows)


async def test_two_writes_to_one_row_fail_loudly(book):
    """PostgreSQL would apply one of them and say nothing."""
    with pytest.raises(WriteMissed):
        async with book.begin() as tx:
            tx.write(MOVE, who="ada", seen=1, by=1)
            tx.write(MOVE, who="ada", seen=1, by=1)

    assert 100 == (await balances(book))["ada"]


async def test_a_broken_constraint_is_named_and_undoes_the_unit(book):
    with pytest.raises(ConstraintBroken) as unique:
        async with book.begin() as tx:
            tx.write(MOVE, who="bob", seen=1, by=1)
            tx.write(ADD, name="ada", balance=1, version=1)
    with pytest.raises(ConstraintBroken) as check:
        async with book.begin() as tx:
            tx.write(MOVE, who="ada", seen=1, by=-101)

    assert ("accounts_pkey", "accounts") == (unique.value.constraint, unique.value.table)
    assert "accounts_balance_not_negative" == check.value.constraint
    assert {"ada": 100, "bob": 0} == await balances(book)


async def test_what_the_server_quotes_from_a_row_stays_out_of_the_failure(book):
    with pytest.raises(ConstraintBroken) as broken:
        async with book.begin() as tx:
            tx.write(ADD, name="ada", balance=1, version=1)

    assert "ada" not in str(broken.value)
    assert broken.value.__suppress_context__


async def test_an_exception_inside_the_unit_writes_nothing(book):
    with pytest.raises(LookupError):
        async with book.begin() as tx:
            await tx.read_one(LOCK, who="ada")
            tx.write(MOVE, who="ada", seen=1, by=1)
            raise LookupError

    async with book.begin() as tx:  # and leaves no lock behind
        tx.write(MOVE, who="ada", seen=1, by=-1)
    assert 99 == (await balances(book))["ada"]
    assert 0 == book._pool.lent


async def test_a_read_that_failed_and_was_caught_does_not_pass_for_a_commit(book):
    impossible = compiled(sa.text("SELECT 1 / 0"))

    with pytest.raises(RuntimeError, match="rolled back"):
        async with book.begin() as tx:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await tx.read(impossible)


async def test_a_unit_without_reads_is_one_round_trip(book):
    seen: list[str] = []
    connection = await book._pool.take()
    connection.add_query_logger(lambda record: seen.append(record.query))
    book._pool.give_back(connection, clean=True)

    async with book.begin() as tx:
        tx.write(MOVE, who="ada", seen=1, by=-1)
        tx.write(MOVE, who="bob", seen=1, by=1)
    await asyncio.sleep(0)  # loggers are called in the next turn

    assert 1 == len(seen)
    assert seen[0].startswith("WITH w0 AS (UPDATE accounts")


async def test_a_deadlock_is_a_lost_race(book):
    both = asyncio.Barrier(2)

    async def swap(first: str, second: str) -> None:
        async with book.begin() as tx:
            await tx.read_one(LOCK, who=first)
            await both.wait()
            await tx.read_one(LOCK, who=second)

    results = await asyncio.gather(swap("ada", "bob"), swap("bob", "ada"), return_exceptions=True)

    assert [RaceLost] == [type(result) for result in results if result is not None]


async def test_a_lock_that_is_not_got_in_time_is_a_lost_race(book):
    async with book.begin() as holder:
        await holder.read_one(LOCK, who="ada")
        with pytest.raises(RaceLost):
            async with book.begin() as tx:
                tx.write(MOVE, who="ada", seen=1, by=1)

    assert 100 == (await balances(book))["ada"]


async def test_a_statement_that_runs_too_long_did_not_happen(book):
    slow = compiled(sa.select(sa.func.pg_sleep(9)))

    with pytest.raises(StoreUnavailable):
        await book.fetch(slow)

    assert await book.ping()


async def test_a_unit_lasts_no_longer_than_its_budget(book):
    nap = compiled(sa.select(sa.func.pg_sleep(1.6)))

    with pytest.raises(StoreUnavailable):
        async with book.begin() as tx:
            for _ in range(4):
                await tx.read(nap)

    assert 0 == book._pool.lent


async def test_every_type_goes_there_and_back(book):
    given = {
        "id": uuid.uuid4(),
        "digest": hashlib.sha256(b"x").digest(),
        "at": datetime(2026, 11, 22, 10, 30, 0, 123456, tzinfo=UTC),
        "units": 10**70 + 1,
        "mood": "GOOD",
        "tags": ["a", "b'$1"],
        "small": 7,
        "yes": True,
    }
    add, find = compiled(sa.insert(everything)), compiled(sa.select(everything))

    async with book.begin() as tx:
        tx.write(add, **given, facts={"b": [1], "a": None})
        tx.write(MOVE, who="ada", seen=1, by=1)
    row = await book.fetch_one(find)

    assert row is not None
    assert given == {name: row[name] for name in given}
    assert '{"a": null, "b": [1]}' == row["facts"]


async def test_the_session_is_limited_on_the_server(book):
    show = compiled(
        sa.text(
            "SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout',"
            "'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout',"
            "'application_name', 'TimeZone', 'default_transaction_isolation')"
        )
    )

    settings = {row["name"]: row["setting"] for row in await book.fetch(show)}

    assert {
        "statement_timeout": "3000",
        "lock_timeout": "2000",
        "transaction_timeout": "5000",
        "idle_in_transaction_session_timeout": "3000",
        "application_name": "test",
        "TimeZone": "UTC",
        "default_transaction_isolation": "read committed",
    } == settings
