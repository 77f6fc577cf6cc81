"""Real PostgreSQL for the tests that need it: one server a session, one database a test.

Migrations run once a session for each service; a test's database is a copy of what they made.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest

from cashier_common.db.engine import Database
from cashier_common.db.migrate import run_migrations
from cashier_mesh.databases import ServiceDatabase
from cashier_mesh.postgres import EmbeddedPostgres, temporary_postgres

SAMPLE = "sample"
PACKAGES = {SAMPLE: "tests.support.sample_service"} | {
    name: f"cashier_{name}" for name in ("crypto", "gateway", "recon", "risk", "router")
}
BLANK = "blank"


class Copies:
    """Makes databases out of ones that were made before."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._sources: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)

    def of(self, service: str) -> ServiceDatabase:
        """A database with a service's tables, and nobody else in it."""
        return self._copy(service, "")

    def blank(self) -> ServiceDatabase:
        """A database with owner and app role and nothing in it."""
        return self._copy(SAMPLE, BLANK)

    def drop(self, database: ServiceDatabase) -> None:
        """Remove it and end its connections."""
        instance = database.name.removeprefix(f"cashier_{database.service}_")
        self._server.drop(database.service, instance)

    def _copy(self, service: str, source: str) -> ServiceDatabase:
        if (service, source) not in self._sources:
            original = self._server.provision(service, source)
            if source != BLANK:
                _run(run_migrations(PACKAGES[service], original.owner_url))
            self._sources.add((service, source))
        return self._server.clone(service, f"t{next(self._numbers)}", source)


def _run(work: Coroutine[Any, Any, object]) -> None:
    # In a thread of its own: the fixture of an asynchronous test has a loop around it.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for the session: TCP, scram, no fsync, any user; never kill it, start your own."""
    with temporary_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def copies(postgres: EmbeddedPostgres) -> Copies:
    """For a file of tests that shares one database; drop it in the end."""
    return Copies(postgres)


@pytest.fixture
def database(request: pytest.FixtureRequest, copies: Copies) -> Iterator[ServiceDatabase]:
    """The test's own database, dropped after it.

    It has the tables of the service whose `…_database` the test or a fixture of it asks for, or
    none.
    """
    wanted = [name for name in PACKAGES if f"{name}_database" in request.fixturenames]
    made = copies.of(*wanted) if wanted else copies.blank()
    yield made
    copies.drop(made)


@pytest.fixture
async def as_owner(
    database: ServiceDatabase,
) -> AsyncIterator[Callable[..., Awaitable[list[asyncpg.Record]]]]:
    """Run SQL as the owner role: migrations' rights, and a tamperer's."""
    connection = await asyncpg.connect(database.owner_url)

    async def run(sql: str, *arguments: object) -> list[asyncpg.Record]:
        if not arguments:  # several commands may stand in one text
            await connection.execute(sql)
            return []
        return list(await connection.fetch(sql, *arguments))

    yield run
    await connection.close()


@pytest.fixture
async def db(database: ServiceDatabase) -> AsyncIterator[Database]:
    """A Database as the app role."""
    opened = await Database.connect(database.app_url, name="test")
    yield opened
    await opened.close()


@pytest.fixture
def sample_database(database: ServiceDatabase) -> ServiceDatabase:
    """The test's database, with the tables of the sample service: audit, requests, wallets."""
    return database


@pytest.fixture
def crypto_database(database: ServiceDatabase) -> ServiceDatabase:
    """The test's database, with the tables of the crypto rail."""
    return database


@pytest.fixture
def gateway_database(database: ServiceDatabase) -> ServiceDatabase:
    """The test's database, with the tables of the gateway."""
    return database


@pytest.fixture
def recon_database(database: ServiceDatabase) -> ServiceDatabase:
    """The test's database, with the tables of recon."""
    return database


@pytest.fixture
def risk_database(database: ServiceDatabase) -> ServiceDatabase:
    """The test's database, with the tables of risk."""
    return database


@pytest.fixture
def router_database(database: ServiceDatabase) -> ServiceDatabase:
    """The test's database, with the tables of the router."""
    return database
