"""A migrated database of recon for one test, and the books in it as plain rows."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from cashier_common.db.engine import Database
from cashier_mesh.databases import ServiceDatabase

_numbers = itertools.count(1)
BOOKS = (
    """SELECT j.*, e.leg, e.account, e.owner, e.asset, e.amount FROM journals j
    JOIN entries e USING (journal_id) ORDER BY journal_id, leg""",
    "SELECT * FROM expectations ORDER BY operation",
    "SELECT * FROM cursors ORDER BY source, shard",
)


@pytest.fixture
async def recon_db(recon_database: ServiceDatabase) -> AsyncIterator[Database]:
    """The database as recon's app role."""
    db = await Database.connect(recon_database.app_url, name="test")
    yield db
    await db.close()


@pytest.fixture
async def sql(recon_database: ServiceDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the app role, for looking."""
    connection = await asyncpg.connect(recon_database.app_url)
    yield connection
    await connection.close()


@pytest.fixture
def books_of() -> Callable[[asyncpg.Connection], Awaitable[list[list[tuple[Any, ...]]]]]:
    """Everything that posting events leaves behind; equal feeds leave equal books."""

    async def read(connection: asyncpg.Connection) -> list[list[tuple[Any, ...]]]:
        return [[tuple(row) for row in await connection.fetch(query)] for query in BOOKS]

    return read
