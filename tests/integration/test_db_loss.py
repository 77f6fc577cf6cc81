"""Losing the database: nothing happened, or nobody knows; a unit never lies about which."""

# ruff: noqa: PT012 - a unit of work fails at its end, so its whole block stands inside `raises`

import asyncio
import contextlib

import asyncpg
import pytest
import sqlalchemy as sa

from cashier_common.db.engine import Database
from cashier_common.db.failures import CommitUnknown, ConstraintBroken
from cashier_common.db.transaction import compiled
from cashier_common.errors import Refusal, StoreUnavailable
from cashier_mesh.ports import free_port
from cashier_mesh.postgres import temporary_postgres

table = sa.Table("notes", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True))
ADD = compiled(sa.insert(table))
COUNT = compiled(sa.select(sa.func.count()).select_from(table))
SLOW_ADD = compiled(
    sa.insert(table).from_select(
        ["id"],
        sa.select(sa.bindparam("id", type_=sa.BigInteger)).where(
            sa.func.pg_sleep(sa.bindparam("s", type_=sa.Float)).is_not(None)
        ),
    )
)
BACKEND = compiled(sa.select(sa.func.pg_backend_pid().label("pid")))
TABLE = "CREATE TABLE notes (id bigint PRIMARY KEY); GRANT ALL ON notes TO cashier_sample_app"


@pytest.fixture
async def book(db, as_owner):
    await as_owner(TABLE)
    return db


@pytest.fixture
async def admin(postgres, database):
    connection = await asyncpg.connect(postgres.admin_url)
    yield connection
    await connection.close()


async def sleepers(admin: asyncpg.Connection, database: str) -> list[int]:
    """The backends that are inside pg_sleep, once there is one."""
    while True:
        rows = await admin.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'",
            database,
        )
        if rows:
            return [row["pid"] for row in rows]
        await asyncio.sleep(0.01)


async def count(book: Database) -> int:
    row = await book.fetch_one(COUNT)
    assert row is not None
    return int(row[0])


async def test_a_database_that_is_not_there_is_unavailable_and_nothing_happened():
    nowhere = await Database.connect(
        f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/x?ssl=disable", name="test"
    )

    assert not await nowhere.ping()
    with pytest.raises(StoreUnavailable):
        async with nowhere.begin() as tx:
            tx.write(ADD, id=1)
    with pytest.raises(StoreUnavailable):
        async with nowhere.begin() as tx:
            await tx.read(COUNT)
    assert 0 == nowhere._pool.lent


async def test_a_connection_lost_while_a_write_is_under_way_leaves_the_outcome_unknown(
    book, admin, database
):
    async def write() -> None:
        async with book.begin() as tx:
            tx.write(SLOW_ADD, id=1, s=2.0, expect=None)

    task = asyncio.create_task(write())
    for pid in await sleepers(admin, database.name):
        await admin.execute("SELECT pg_terminate_backend($1)", pid)

    with pytest.raises(CommitUnknown):
        await task
    assert not issubclass(CommitUnknown, Refusal)
    assert 0 == await count(book)  # and the pool has recovered


async def test_a_connection_lost_before_commit_was_sent_means_that_nothing_happened(
    book, admin, database
):
    async def write() -> None:
        async with book.begin() as tx:
            await tx.read(COUNT)
            tx.write(SLOW_ADD, id=1, s=2.0, expect=None)

    task = asyncio.create_task(write())
    for pid in await sleepers(admin, database.name):
        await admin.execute("SELECT pg_terminate_backend($1)", pid)

    with pytest.raises(StoreUnavailable):
        await task
    assert 0 == await count(book)


async def test_a_connection_lost_at_commit_leaves_the_outcome_unknown(book, as_owner, admin):
    """The server commits and dies before it answers, as far as the client can see."""
    await as_owner(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()"
    )

    with pytest.raises(CommitUnknown):
        async with book.begin() as tx:
            await tx.read(COUNT)
            tx.write(ADD, id=1)


async def test_a_constraint_that_is_checked_at_commit_is_an_answer(book, as_owner):
    await as_owner(
        "CREATE TABLE parents (id bigint PRIMARY KEY); ALTER TABLE notes ADD CONSTRAINT has_parent "
        "FOREIGN KEY (id) REFERENCES parents DEFERRABLE INITIALLY DEFERRED"
    )

    with pytest.raises(ConstraintBroken, match="has_parent"):
        async with book.begin() as tx:
            tx.write(ADD, id=1)
    with pytest.raises(ConstraintBroken, match="has_parent"):
        async with book.begin() as tx:
            await tx.read(COUNT)
            tx.write(ADD, id=1)

    assert 0 == await count(book)


async def test_a_cancelled_unit_committed_whole_or_not_at_all_and_its_connection_is_not_reused(
    database, as_owner
):
    await as_owner(TABLE)
    book = await Database.connect(database.app_url, name="test", pool_size=2)

    async def write(number: int) -> None:
        async with book.begin() as tx:
            if number % 2:
                await tx.read(COUNT)
            tx.write(ADD, id=number)
            tx.write(ADD, id=-number)

    for number in range(1, 120):
        task = asyncio.create_task(write(number))
        await asyncio.sleep(0.00002 * (number % 40))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    rows = await book.fetch(compiled(sa.select(table.c.id)))
    ids = {row["id"] for row in rows}

    assert ids == {-number for number in ids}
    assert 0 == book._pool.lent
    idle = await as_owner(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state LIKE 'idle in%'",
        database.name,
    )
    assert 0 == idle[0][0]
    await book.close()


async def test_a_pool_that_is_used_up_refuses_and_recovers(database, monkeypatch):
    monkeypatch.setattr("cashier_common.db.pool.ACQUIRE_TIMEOUT_S", 0.1)
    book = await Database.connect(database.app_url, name="test", pool_size=1)

    async with book.begin() as holder:
        await holder.read(BACKEND)
        assert not await book.ping()
        waiting = asyncio.create_task(book.ping())
        await asyncio.sleep(0.01)

    assert await waiting
    await book.close()


async def test_borrowers_that_give_up_waiting_lose_no_connection(database):
    book = await Database.connect(database.app_url, name="test", pool_size=2)

    for step in range(150):
        tasks = [asyncio.create_task(book.ping()) for _ in range(8)]
        await asyncio.sleep(0.00005 * (step % 20))
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert [True] * 8 == await asyncio.gather(*(book.ping() for _ in range(8)))
    assert 0 == book._pool.lent
    assert len(book._pool._idle) <= 2
    await book.close()


async def test_after_a_crash_of_the_server_the_pool_finds_it_again():
    with temporary_postgres() as server:
        database = server.provision("sample")
        port = server.port
        server._wanted_port = port  # the same place after the crash
        book = await Database.connect(database.app_url, name="test")
        assert await book.ping()

        server.kill()
        assert not await book.ping()
        server.start()

        assert await book.ping()
        await book.close()
