"""Statements, their lines, and the rows that could not become lines."""

from collections.abc import Iterable, Sequence

import orjson
from asyncpg import Record
from sqlalchemy import Text, bindparam, exists, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY

from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_recon.domain.import_result import Statement, StatementState
from cashier_recon.domain.lifecycle import LineState
from cashier_recon.domain.statement import Category, Line, RejectedRow
from cashier_recon.storage.bulk import arrays, upsert_many
from cashier_recon.storage.tables import (
    quarantined_files,
    rejected_rows,
    statement_lines,
    statements,
)

LINE_COLUMNS = (
    "line_id",
    "statement_id",
    "row",
    "processor_account",
    "external_id",
    "occurrence",
    "type",
    "category",
    "source",
    "description",
    "asset",
    "amount",
    "fee",
    "net",
    "created",
    "available_on",
    "payout",
    "facts",
    "state",
)
_REJECTED = (
    "statement_id",
    "row",
    "processor_account",
    "external_id",
    "reject",
    "detail",
    "raw",
    "asset",
    "net",
)
_registered = exists().where(statements.c.statement_id == statement_lines.c.statement_id)
_KNOWN = compiled(
    select(
        statement_lines.c.line_id, statement_lines.c.facts, statement_lines.c.statement_id
    ).where(
        statement_lines.c.line_id == func.any(bindparam("line_ids", type_=ARRAY(Text))),
        _registered,
    )
)
_ADD = upsert_many(statement_lines, *LINE_COLUMNS)
# Lines of an import that crashed before its statement was registered belong to nobody yet.
_ADD_LINES = compiled(
    _ADD.on_conflict_do_update(
        index_elements=["line_id"],
        set_={name: _ADD.excluded[name] for name in LINE_COLUMNS if name != "line_id"},
        where=~_registered,
    )
)
_add_rejected = upsert_many(rejected_rows, *_REJECTED)
_ADD_REJECTED = compiled(
    _add_rejected.on_conflict_do_nothing(index_elements=["statement_id", "row"])
)
_ADD_STATEMENT = compiled(insert(statements))
_ADD_FILE = compiled(insert(quarantined_files))
_FIND = compiled(select(statements).where(statements.c.statement_id == bindparam("statement")))


class StatementWrites:
    """The part of a unit that imports."""

    _tx: UnitOfWork

    async def statement(self, statement_id: str) -> Statement | None:
        """The statement with this id."""
        row = await self._tx.read_one(_FIND, statement=statement_id)
        return statement_of(row) if row else None

    async def known_lines(self, lines: Sequence[Line]) -> dict[str, tuple[bytes, str]]:
        """Facts and statement of the lines that a registered statement has already."""
        rows = await self._tx.read(_KNOWN, line_ids=[line.line_id for line in lines])
        return {row["line_id"]: (row["facts"], row["statement_id"]) for row in rows}

    def add_lines(self, statement_id: str, lines: Sequence[Line]) -> None:
        """Write them; they count once their statement is registered."""
        if lines:
            values = [(statement_id, line) for line in lines]
            self._tx.write(
                _ADD_LINES, expect=len(lines), **arrays(LINE_COLUMNS, values, _line_values)
            )

    def add_rejected(
        self, statement_id: str, processor_account: str, rows: Iterable[RejectedRow]
    ) -> None:
        """The dead letters; again is the same."""
        values = [(statement_id, processor_account, row) for row in rows]
        if values:
            self._tx.write(
                _ADD_REJECTED, expect=None, **arrays(_REJECTED, values, _rejected_values)
            )

    def add_statement(self, statement: Statement) -> None:
        """Register it: from here on its lines are there."""
        self._tx.write(
            _ADD_STATEMENT,
            statement_id=statement.statement_id,
            processor_account=statement.processor_account,
            format=statement.format,
            file_name=statement.file_name,
            content_hash=statement.content_hash,
            period_end_time=statement.period_end_time,
            state=statement.state.value,
            detail=statement.detail,
            line_count=statement.line_count,
            repeated_line_count=statement.repeated_line_count,
            rejected_line_count=statement.rejected_line_count,
            totals=statement.totals,
            create_time=statement.create_time,
        )

    def add_quarantined_file(self, statement_id: str, content: bytes) -> None:
        """Keep what could not be trusted."""
        self._tx.write(_ADD_FILE, statement_id=statement_id, content=content)


def statement_of(row: Record) -> Statement:
    """The domain's value of a row."""
    return Statement(
        statement_id=row["statement_id"],
        processor_account=row["processor_account"],
        format=row["format"],
        file_name=row["file_name"],
        content_hash=row["content_hash"],
        period_end_time=row["period_end_time"],
        state=StatementState(row["state"]),
        detail=row["detail"],
        line_count=row["line_count"],
        repeated_line_count=row["repeated_line_count"],
        rejected_line_count=row["rejected_line_count"],
        totals=orjson.loads(row["totals"]),
        create_time=row["create_time"],
    )


def line_of(row: Record) -> Line:
    """The domain's value of a row that has the columns of a line."""
    return Line(
        line_id=row["line_id"],
        processor_account=row["processor_account"],
        external_id=row["external_id"],
        occurrence=row["occurrence"],
        row=row["row"],
        type=row["type"],
        category=Category(row["category"]),
        source=row["source"],
        description=row["description"],
        asset=row["asset"],
        amount=row["amount"],
        fee=row["fee"],
        net=row["net"],
        created=row["created"],
        available_on=row["available_on"],
        payout=row["payout"],
    )


def _line_values(given: tuple[str, Line]) -> Sequence[object]:
    statement_id, line = given
    return (
        line.line_id,
        statement_id,
        line.row,
        line.processor_account,
        line.external_id,
        line.occurrence,
        line.type,
        line.category.value,
        line.source,
        line.description,
        line.asset,
        line.amount,
        line.fee,
        line.net,
        line.created,
        line.available_on,
        line.payout,
        line.facts,
        LineState.NEW.value,
    )


def _rejected_values(given: tuple[str, str, RejectedRow]) -> Sequence[object]:
    statement_id, account, row = given
    return (
        statement_id,
        row.row,
        account,
        row.external_id,
        row.reject.value,
        row.detail,
        row.raw,
        row.asset,
        row.net,
    )
