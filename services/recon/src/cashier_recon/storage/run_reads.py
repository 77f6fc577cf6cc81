"""What a run looks at: waiting lines, what they may settle, what is overdue, and the totals."""

from collections.abc import Sequence

from asyncpg import Record
from sqlalchemy import Select, Text, and_, bindparam, func, or_, select, union
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import ColumnElement

from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_recon.domain.bridge import Cell
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.lifecycle import LineState
from cashier_recon.domain.run_plan import Payout, Refused, Run, Waiting
from cashier_recon.domain.statement import Category, Reject, RejectedRow
from cashier_recon.storage.expectations import expectation_of
from cashier_recon.storage.statements import line_of
from cashier_recon.storage.tables import (
    expectations,
    rejected_rows,
    run_items,
    statement_lines,
    statements,
)

_ACCOUNTS = bindparam("accounts", type_=ARRAY(Text))
RUN = bindparam("of_run", type_=Text())


def _in_scope(column: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(func.cardinality(_ACCOUNTS) == 0, column == func.any(_ACCOUNTS))


_line_waits = and_(
    statement_lines.c.state.in_(
        [bindparam("new", LineState.NEW.value), bindparam("suspended", LineState.SUSPENDED.value)]
    ),
    _in_scope(statement_lines.c.processor_account),
)
_registered = statement_lines.c.statement_id == statements.c.statement_id
_WAITING = compiled(
    select(*statement_lines.c)
    .join(statements, _registered)
    .where(_line_waits, statement_lines.c.line_id > bindparam("after"))
    .order_by(statement_lines.c.line_id)
    .limit(bindparam("most"))
)


def _candidates(same: ColumnElement[bool]) -> "Select[tuple[object, ...]]":
    return (
        select(*expectations.c)
        .join(
            statement_lines,
            and_(statement_lines.c.processor_account == expectations.c.processor_account, same),
        )
        .where(statement_lines.c.line_id == func.any(bindparam("lines", type_=ARRAY(Text))))
    )


_CANDIDATES = compiled(
    union(
        _candidates(
            and_(
                expectations.c.processor_reference == statement_lines.c.source,
                expectations.c.processor_reference != bindparam("nothing", ""),
            )
        ),
        _candidates(expectations.c.operation == statement_lines.c.description),
    )
)
_OVERDUE = compiled(
    select(*expectations.c)
    .where(
        expectations.c.state == bindparam("state", "OPEN"),
        expectations.c.due_time < bindparam("cutoff"),
        _in_scope(expectations.c.processor_account),
        expectations.c.operation > bindparam("after"),
    )
    .order_by(expectations.c.operation)
    .limit(bindparam("most"))
)
_REFUSED = compiled(
    select(*rejected_rows.c)
    .join(statements, rejected_rows.c.statement_id == statements.c.statement_id)
    .where(rejected_rows.c.run_id.is_(None), _in_scope(rejected_rows.c.processor_account))
)
_paid = statement_lines.alias("paid")
_PAYOUTS = compiled(
    select(
        statement_lines.c.processor_account,
        statement_lines.c.payout,
        statement_lines.c.asset,
        func.sum(statement_lines.c.net).label("net"),
    )
    .join(statements, _registered)
    .where(
        statement_lines.c.category != bindparam("bank", Category.BANK.value),
        _in_scope(statement_lines.c.processor_account),
        select(_paid.c.line_id)
        .where(
            _paid.c.processor_account == statement_lines.c.processor_account,
            _paid.c.payout == statement_lines.c.payout,
            _paid.c.payout != bindparam("no_payout", ""),
            _paid.c.category == bindparam("is_bank", Category.BANK.value),
            _paid.c.state == bindparam("is_new", LineState.NEW.value),
        )
        .exists(),
    )
    .group_by(
        statement_lines.c.processor_account, statement_lines.c.payout, statement_lines.c.asset
    )
)
_EXPECTED = compiled(
    select(
        expectations.c.processor_account,
        expectations.c.asset,
        func.sum(
            expectations.c.amount - func.coalesce(expectations.c.expected_fee, bindparam("zero", 0))
        ).label("net"),
    )
    .join(run_items, run_items.c.operation == expectations.c.operation)
    .where(run_items.c.run_id == RUN)
    .group_by(expectations.c.processor_account, expectations.c.asset)
)
_observed_lines = (
    select(statement_lines.c.processor_account, statement_lines.c.asset, statement_lines.c.net)
    .join(run_items, run_items.c.line_id == statement_lines.c.line_id)
    .where(
        run_items.c.run_id == RUN,
        statement_lines.c.state == bindparam("fresh", LineState.NEW.value),
    )
)
_observed_rows = (
    select(rejected_rows.c.processor_account, rejected_rows.c.asset, rejected_rows.c.net)
    .join(
        run_items,
        and_(
            run_items.c.rejected_statement == rejected_rows.c.statement_id,
            run_items.c.rejected_row == rejected_rows.c.row,
        ),
    )
    .where(run_items.c.run_id == RUN, rejected_rows.c.net.is_not(None))
)
_observed = _observed_lines.union_all(_observed_rows).subquery("observed")
_OBSERVED = compiled(
    select(
        _observed.c.processor_account, _observed.c.asset, func.sum(_observed.c.net).label("net")
    ).group_by(_observed.c.processor_account, _observed.c.asset)
)


class RunReads:
    """The part of a unit that a run plans from."""

    _tx: UnitOfWork

    async def waiting_lines(self, run: Run, *, after: str, limit: int) -> list[Waiting]:
        """New lines of registered statements, and those in suspense, by line id."""
        rows = await self._tx.read(
            _WAITING, accounts=list(run.processor_accounts), after=after, most=limit
        )
        return [Waiting(line_of(row), LineState(row["state"])) for row in rows]

    async def candidates(self, lines: Sequence[Waiting]) -> list[Expectation]:
        """Every expectation that shares an account and a reference with one of the lines."""
        rows = await self._tx.read(_CANDIDATES, lines=[one.line.line_id for one in lines])
        return [expectation_of(row) for row in rows]

    async def overdue(self, run: Run, *, after: str, limit: int) -> list[Expectation]:
        """Open expectations that were due before the cut-off, by operation."""
        rows = await self._tx.read(
            _OVERDUE,
            accounts=list(run.processor_accounts),
            cutoff=run.cutoff_time,
            after=after,
            most=limit,
        )
        return [expectation_of(row) for row in rows]

    async def refused_rows(self, run: Run) -> list[Refused]:
        """Dead letters that no run has told of."""
        rows = await self._tx.read(_REFUSED, accounts=list(run.processor_accounts))
        return [
            Refused(row["statement_id"], row["processor_account"], rejected_of(row)) for row in rows
        ]

    async def payouts(self, run: Run) -> list[Payout]:
        """What the lines of each new payout sum to."""
        rows = await self._tx.read(_PAYOUTS, accounts=list(run.processor_accounts))
        return [
            Payout(row["processor_account"], row["payout"], row["asset"], int(row["net"]))
            for row in rows
        ]

    async def expected_sums(self, run_id: str) -> dict[Cell, int]:
        """What the operations of the plan should bring, net of fees, counted by the database."""
        return _sums(await self._tx.read(_EXPECTED, of_run=run_id))

    async def observed_sums(self, run_id: str) -> dict[Cell, int]:
        """What the new lines and readable rows of the plan bring, net of fees."""
        return _sums(await self._tx.read(_OBSERVED, of_run=run_id))


def rejected_of(row: Record) -> RejectedRow:
    """The domain's value of a dead letter."""
    return RejectedRow(
        row=row["row"],
        external_id=row["external_id"],
        reject=Reject(row["reject"]),
        detail=row["detail"],
        raw=row["raw"],
        asset=row["asset"],
        net=row["net"],
    )


def _sums(rows: Sequence[Record]) -> dict[Cell, int]:
    return {(row["processor_account"], row["asset"]): int(row["net"]) for row in rows}
