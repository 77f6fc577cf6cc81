"""A unit of work: reads run at once, writes are collected and leave as one statement."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NoReturn, Self, TypeAlias

import asyncpg

from cashier_common.db.failures import (
    ConstraintBroken,
    WriteMissed,
    leaves_connection_clean,
    raise_translated,
)
from cashier_common.db.pool import Connection, Pool
from cashier_common.db.statement import Query, compiled, renumbered
from cashier_common.errors import StoreUnavailable

STATEMENT_WAIT_S: Final = 3.5
"""The client gives up on one statement after this: above the server's statement_timeout (3 s),
whose error is an answer, and below its transaction_timeout (5 s)."""
UNIT_BUDGET_S: Final = 4.5
"""The client gives up on a whole unit after this, before the server's transaction_timeout."""
ROLLBACK_WAIT_S: Final = 1.0
"""A rollback that takes longer is replaced by closing the connection, which rolls back too."""
UNIT_WRITES_MAX: Final = 40
"""More single writes than this belong into one bulk write over arrays."""
COMBINATIONS_MAX: Final = 1_000
"""Distinct combined statements kept as text; flows have a few dozen."""

Refuse: TypeAlias = Callable[[], Exception]

_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_combined: dict[tuple[Query | int | None, ...], str] = {}


@dataclass(slots=True)
class Write:
    """One collected write; `rows` is how many rows it touched, known after the unit has ended."""

    query: Query
    arguments: list[object]
    expect: int | None
    refusal: Refuse | None
    rows: int = -1


class UnitOfWork:
    """`async with db.begin() as tx:` - all of it happens or nothing does.

    - The first read opens BEGIN (READ COMMITTED); without a read the writes are one autocommit
      statement, one round trip.
    - Writes run together in one statement and see the database as it was before that statement.
      A later write does not see an earlier one, and **two writes to one row in a unit are
      forbidden**: PostgreSQL applies one of them and skips the other. The skipped one counts no
      row, so `expect=1` rolls the unit back; `expect=None` would hide it.
    - Leaving with an exception, or cancelled, rolls back. Cancelled while the last statement is
      under way, the unit has committed as a whole or not at all. A crash is the same.

    Raises StoreUnavailable (nothing happened), CommitUnknown (nobody knows), RaceLost (deadlock
    or a lock not got in time; nothing happened), ConstraintBroken, WriteMissed or the refusal of
    the write that missed.
    """

    __slots__ = ("_connection", "_database", "_ends", "_pool", "_reads_change", "_writes")

    def __init__(self, pool: Pool, *, database: str) -> None:
        self._pool = pool
        self._database = database
        self._connection: Connection | None = None
        self._writes: list[Write] = []
        self._reads_change = False
        self._ends = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def read(self, query: Query, /, **parameters: object) -> list[asyncpg.Record]:
        """Run a statement now, inside the transaction, and answer its rows."""
        arguments = query.arguments(parameters)
        connection = self._connection or await self._open()
        self._reads_change = self._reads_change or not query.only_reads
        left_s = self._left_s()
        try:
            return await connection.fetch(query.sql, *arguments, timeout=left_s)
        except Exception as error:  # noqa: BLE001 - translated, then raised
            self._raise(error, committing=False)

    async def read_one(self, query: Query, /, **parameters: object) -> asyncpg.Record | None:
        """The first row of `read`, or None."""
        rows = await self.read(query, **parameters)
        return rows[0] if rows else None

    def write(
        self,
        query: Query,
        /,
        *,
        expect: int | None = 1,
        refusal: Refuse | None = None,
        **parameters: object,
    ) -> Write:
        """Collect a write that must touch exactly `expect` rows; `expect=None` takes any number.

        Otherwise the unit rolls back whole and raises `refusal()`, or WriteMissed without one.
        """
        if not query.is_write:
            raise TypeError(f"only INSERT, UPDATE and DELETE can be collected, got: {query.sql}")
        if len(self._writes) == UNIT_WRITES_MAX:
            raise ValueError(f"more than {UNIT_WRITES_MAX} writes: use a bulk write over arrays")
        write = Write(query, query.arguments(parameters), expect, refusal)
        self._writes.append(write)
        return write

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            await self._undo()
        elif self._connection is not None:
            await self._commit(self._connection)
        elif self._writes:
            await self._autocommit()

    async def _open(self) -> Connection:
        connection = self._connection = await self._pool.take()
        self._ends = asyncio.get_running_loop().time() + UNIT_BUDGET_S
        try:
            await connection.execute(_BEGIN, timeout=STATEMENT_WAIT_S)
        except Exception as error:  # noqa: BLE001 - translated, then raised
            self._raise(error, committing=False)
        return connection

    async def _autocommit(self) -> None:
        self._connection = connection = await self._pool.take()
        try:
            await self._send(connection, STATEMENT_WAIT_S)
        except BaseException as error:
            self._release(clean=leaves_connection_clean(error))
            if not isinstance(error, Exception):
                raise  # cancelled: the statement commits as a whole or not at all
            self._raise(error, committing=True)
        self._release(clean=True)

    async def _commit(self, connection: Connection) -> None:
        committing = False
        try:
            if self._writes:
                await self._send(connection, self._left_s())
            left_s = self._left_s()
            committing = self._reads_change or bool(self._writes)
            status = await connection.execute("COMMIT", timeout=left_s)
        except BaseException as error:
            await self._undo()
            if not isinstance(error, Exception):
                raise
            self._raise(error, committing=committing)
        self._release(clean=True)
        if status != "COMMIT":
            # PostgreSQL answers ROLLBACK, and no error, where a statement had failed before.
            raise RuntimeError("a read of this unit had failed: all of it was rolled back")

    async def _send(self, connection: Connection, wait_s: float) -> None:
        writes = self._writes
        only = writes[0]
        if len(writes) == 1 and (only.expect is None or only.query.touches_one_row_at_most):
            # One row at most: a miss changed nothing, so its count can be judged here.
            status = await connection.execute(only.query.sql, *only.arguments, timeout=wait_s)
            only.rows = int(status.rpartition(" ")[2])
            if only.expect is not None and only.rows != only.expect:
                raise WriteMissed(ordinal=0, got=only.rows, want=only.expect)
            return
        arguments: list[object] = []
        for write in writes:
            arguments += write.arguments
        arguments += [write.expect for write in writes if write.expect is not None]
        counts = await connection.fetch(combined(writes), *arguments, timeout=wait_s)
        for write, count in zip(writes, counts[0], strict=True):
            write.rows = count

    async def _undo(self) -> None:
        """Roll back, or close the connection where that cannot be done cleanly and soon."""
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.is_in_transaction() and not connection.is_closed():
                await connection.execute("ROLLBACK", timeout=ROLLBACK_WAIT_S)
        except BaseException as error:
            self._release(clean=False)
            if not isinstance(error, Exception):
                raise
        else:
            self._release(clean=True)

    def _release(self, *, clean: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(connection, clean=clean)

    def _left_s(self) -> float:
        left_s = self._ends - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise StoreUnavailable  # nothing was sent
        return min(left_s, STATEMENT_WAIT_S)

    def _raise(self, error: Exception, *, committing: bool) -> NoReturn:
        try:
            raise_translated(error, database=self._database, committing=committing)
        except WriteMissed as missed:
            write = self._writes[missed.ordinal]
            if write.refusal is not None:
                raise write.refusal() from None
            raise missed.told(write.query.sql) from None


def combined(writes: Sequence[Write]) -> str:
    """The writes as one statement that answers one row: how many rows each of them touched.

    The counts are asked for in order, so the writes run in order, and a missed expectation ends
    the statement before the later ones start. Parameters: those of each write, then one
    `expect` for each write that has one.
    """
    key = tuple(
        part for write in writes for part in (write.query, None if write.expect is None else 1)
    )
    known = _combined.get(key)
    if known is not None:
        return known
    tables, counts, place = [], [], 0
    for number, write in enumerate(writes):
        tables.append(f"w{number} AS ({renumbered(write.query.counted_sql or '', place)})")
        place += len(write.query.names)
    for number, write in enumerate(writes):
        count = f"(SELECT count(*) FROM w{number})"  # noqa: S608 - made of numbers alone
        if write.expect is not None:
            place += 1
            count = f"expect_rows({number}, {count}, ${place}::bigint)"
        counts.append(f"{count} AS c{number}")
    text = f"WITH {', '.join(tables)} SELECT {', '.join(counts)}"
    if len(_combined) >= COMBINATIONS_MAX:
        _combined.clear()
    _combined[key] = text
    return text


__all__ = ["ConstraintBroken", "Query", "UnitOfWork", "Write", "WriteMissed", "compiled"]
