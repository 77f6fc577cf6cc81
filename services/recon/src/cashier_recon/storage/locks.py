"""One import and one run at a time over all replicas: session locks that die with their holder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from cashier_common.db.engine import CONNECT_TIMEOUT_S
from cashier_common.errors import RaceLost, StoreUnavailable
from cashier_recon.domain.errors import RunInProgress

LOCK_CLASS = 0x5EC0
LOCKS = {"run": 1, "import": 2}
IMPORT_WAIT_S = 30.0  # the longest import of a file at its limit
RETRY_S = 0.05


class SessionLock:
    """Advisory locks on a connection of their own, outside of the pool."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._dsn = urlunsplit(parts._replace(scheme="postgresql"))

    @asynccontextmanager
    async def __call__(self, name: str) -> AsyncIterator[None]:
        """Hold the lock; RunInProgress at once for a run, RaceLost after a wait for an import.

        A killed holder frees it with its connection. A holder whose connection breaks goes on
        without it: every write of a run is a compare-and-set, so two of them never book twice.
        """
        try:
            connection = await asyncpg.connect(self._dsn, timeout=CONNECT_TIMEOUT_S)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StoreUnavailable from error
        try:
            await self._take(connection, name)
            yield
        finally:
            connection.terminate()

    async def _take(self, connection: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + (IMPORT_WAIT_S if name == "import" else 0)
        while not await connection.fetchval(
            "SELECT pg_try_advisory_lock($1, $2)", LOCK_CLASS, LOCKS[name]
        ):
            if loop.time() >= ends:
                if name == "run":
                    raise RunInProgress(run="a run")
                raise RaceLost("the import lock")
            await asyncio.sleep(RETRY_S)
