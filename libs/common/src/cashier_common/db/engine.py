"""The database of one service: a pool with limits on the server's side, and what runs on it."""

from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from sqlalchemy import literal_column, select

from cashier_common.db.failures import leaves_connection_clean, raise_translated
from cashier_common.db.pool import Connection, Pool
from cashier_common.db.statement import Query, compiled
from cashier_common.db.transaction import STATEMENT_WAIT_S, UnitOfWork
from cashier_common.errors import StoreUnavailable

CONNECT_TIMEOUT_S: Final = 2.0
"""A database that does not answer within this is away; callers have seconds, not minutes."""
POOL_SIZE: Final = 16
"""Two busy cores keep about eight connections busy; the rest waits on locks."""
LOCK_TIMEOUT_MS: Final = 2_000
"""A duplicate waits this long for the first call's commit before RaceLost."""
STATEMENT_TIMEOUT_MS: Final = 3_000
"""Below STATEMENT_WAIT_S, so that a slow statement ends with an answer: rolled back."""
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 3_000
"""A transaction never waits for the network, so it is never idle for long."""
TRANSACTION_TIMEOUT_MS: Final = 5_000
"""No write transaction lasts over 5 s: the sealer's watermark relies on it."""
STATEMENT_CACHE_SIZE: Final = 500
"""Prepared statements kept per connection; a service has some hundred."""

_TRANSACTION_TIMEOUT_SINCE: Final = 17
_PING: Final = compiled(select(literal_column("1")))
_DRIVER: Final = "+asyncpg"
_SQLALCHEMY_ONLY: Final = frozenset({"prepared_statement_cache_size", "async_fallback"})


class Database:
    """Connections to one PostgreSQL database as one role; READ COMMITTED and UTC, always."""

    def __init__(self, pool: Pool, *, name: str) -> None:
        self._pool = pool
        self._name = name

    @classmethod
    async def connect(cls, url: str, *, name: str, pool_size: int = POOL_SIZE) -> Self:
        """Make a pool on `postgresql://` or `postgresql+asyncpg://`; the first use connects.

        `name` is what the server shows as application_name. Nothing is opened here, so that a
        service may start before its database.
        """
        dsn, options = _parsed(url)

        async def open_connection() -> Connection:
            return await _open(dsn, name=name, **options)

        return cls(Pool(open_connection, size=pool_size), name=name)

    def begin(self) -> UnitOfWork:
        """A unit of work: `async with db.begin() as tx:`."""
        return UnitOfWork(self._pool, database=self._name)

    async def fetch(self, query: Query, /, **parameters: object) -> list[asyncpg.Record]:
        """All rows of one statement that is a transaction of its own.

        StoreUnavailable when nothing happened; CommitUnknown when a write's answer was lost.
        """
        arguments = query.arguments(parameters)
        connection = await self._pool.take()
        try:
            rows = await connection.fetch(query.sql, *arguments, timeout=STATEMENT_WAIT_S)
        except BaseException as error:
            self._fail(connection, query, error)
            raise
        self._pool.give_back(connection, clean=True)
        return rows

    async def fetch_one(self, query: Query, /, **parameters: object) -> asyncpg.Record | None:
        """The first row of `fetch`, or None."""
        rows = await self.fetch(query, **parameters)
        return rows[0] if rows else None

    async def execute(self, query: Query, /, **parameters: object) -> int:
        """Run one statement as a transaction of its own; how many rows it touched."""
        arguments = query.arguments(parameters)
        connection = await self._pool.take()
        try:
            status = await connection.execute(query.sql, *arguments, timeout=STATEMENT_WAIT_S)
        except BaseException as error:
            self._fail(connection, query, error)
            raise
        self._pool.give_back(connection, clean=True)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def ping(self) -> bool:
        """Whether the database answers; for readiness, so it never raises."""
        try:
            await self.fetch(_PING)
        except (StoreUnavailable, asyncpg.PostgresError):
            return False
        return True

    async def close(self) -> None:
        """Wait for the units under way, then close every connection."""
        await self._pool.close()

    def _fail(self, connection: Connection, query: Query, error: BaseException) -> None:
        self._pool.give_back(connection, clean=leaves_connection_clean(error))
        if isinstance(error, Exception):
            raise_translated(error, database=self._name, committing=not query.only_reads)


def _parsed(url: str) -> tuple[str, dict[str, Any]]:
    """The URL as asyncpg reads it; options that only SQLAlchemy knows are dropped or moved."""
    parts = urlsplit(url)
    scheme = parts.scheme.removesuffix(_DRIVER)
    if scheme not in {"postgresql", "postgres"}:
        raise ValueError(
            f"the database URL has the scheme {parts.scheme}: "
            "it must be postgresql:// or postgresql+asyncpg://"
        )
    options: dict[str, Any] = {}
    kept: list[tuple[str, str]] = []
    for key, value in parse_qsl(parts.query):
        if key == "statement_cache_size":  # 0 behind a pooler that cannot keep statements
            options[key] = int(value)
        elif key == "ssl":  # SQLAlchemy's name for it
            kept.append(("sslmode", value))
        elif key not in _SQLALCHEMY_ONLY:
            kept.append((key, value))
    return urlunsplit(parts._replace(scheme=scheme, query=urlencode(kept))), options


async def _open(
    dsn: str, *, name: str, statement_cache_size: int = STATEMENT_CACHE_SIZE
) -> Connection:
    connection: Connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_WAIT_S,
        statement_cache_size=statement_cache_size,
        max_cached_statement_lifetime=0,  # the statements are those of the code: never stale
        max_cacheable_statement_size=0,  # a combined write may be long, and is as frequent
        server_settings={
            "application_name": name,
            "timezone": "UTC",
            "default_transaction_isolation": "read committed",
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
            "jit": "off",  # compiling takes longer than any statement here
        },
    )
    if connection.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
        await connection.execute(f"SET transaction_timeout = {TRANSACTION_TIMEOUT_MS}")
    return connection
