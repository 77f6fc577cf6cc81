"""Real PostgreSQL for the tests that need it: one server a session, one database a test."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import asyncpg
import pytest

from cashier_common.db.engine import Database
from cashier_common.db.migrate import run_migrations
from cashier_mesh.databases import ServiceDatabase
from cashier_mesh.postgres import EmbeddedPostgres, temporary_postgres

SERVICE = "sample"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for the session: TCP, scram, no fsync, any user; never kill it, start your own."""
    with temporary_postgres() as server:
        yield server


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[ServiceDatabase]:
    """An empty database with owner and app role, dropped after the test."""
    instance = f"t{next(_numbers)}"
    database = postgres.provision(SERVICE, instance)
    yield database
    postgres.drop(SERVICE, instance)


@pytest.fixture
async def as_owner(
    empty_database: ServiceDatabase,
) -> AsyncIterator[Callable[..., Awaitable[list[asyncpg.Record]]]]:
    """Run SQL as the owner role: migrations' rights, and a tamperer's."""
    connection = await asyncpg.connect(empty_database.owner_url)

    async def run(sql: str, *arguments: object) -> list[asyncpg.Record]:
        if not arguments:  # several commands may stand in one text
            await connection.execute(sql)
            return []
        return list(await connection.fetch(sql, *arguments))

    yield run
    await connection.close()


@pytest.fixture
async def db(empty_database: ServiceDatabase) -> AsyncIterator[Database]:
    """A Database as the app role."""
    database = await Database.connect(empty_database.app_url, name="test")
    yield database
    await database.close()


@pytest.fixture
async def sample_database(empty_database: ServiceDatabase) -> ServiceDatabase:
    """A database with the sample service's tables: audit, requests, wallets."""
    await run_migrations("tests.support.sample_service", empty_database.owner_url)
    return empty_database
