"""Runs and their frozen decisions, and what a run looks at."""

from collections.abc import Sequence

import orjson
from asyncpg import Record
from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_common.db.types import insert_many
from sqlalchemy import (
    Select,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import ColumnElement

from cashier_recon.domain.bridge import BridgeLine, Cell
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.lifecycle import LineState, RunState
from cashier_recon.domain.run_plan import Item, Payout, Refused, Run, Waiting
from cashier_recon.domain.statement import Category, Reject, RejectedRow
from cashier_recon.storage.bulk import arrays
from cashier_recon.storage.expectations import expectation_of
from cashier_recon.storage.statements import line_of
from cashier_recon.storage.tables import (
    expectations,
    rejected_rows,
    run_items,
    runs,
    statement_lines,
    statements,
)

ITEM_COLUMNS = (
    "run_id",
    "number",
    "outcome",
    "line_id",
    "before_state",
    "event",
    "operation",
    "related",
    "rejected_statement",
    "rejected_row",
    "second",
    "second_expected",
    "second_observed",
    "applied",
)
_ACCOUNTS = bindparam("accounts", type_=ARRAY(Text))
_RUN = bindparam("of_run", type_=Text())


def _in_scope(column: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(func.cardinality(_ACCOUNTS) == 0, column == func.any(_ACCOUNTS))


_line_waits = and_(
    statement_lines.c.state.in_(
        [bindparam("new", LineState.NEW.value), bindparam("suspended", LineState.SUSPENDED.value)]
    ),
    _in_scope(statement_lines.c.processor_account),
)
_registered = statement_lines.c.statement_id == statements.c.statement_id
_WAITING = compiled(select(*statement_lines.c).join(statements, _registered).where(_line_waits))


def _candidates(same: ColumnElement[bool]) -> "Select[tuple[object, ...]]":
    return (
        select(*expectations.c)
        .join(
            statement_lines,
            and_(statement_lines.c.processor_account == expectations.c.processor_account, same),
        )
        .where(_line_waits)
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
    select(*expectations.c).where(
        expectations.c.state == bindparam("state", "OPEN"),
        expectations.c.due_time < bindparam("cutoff"),
        _in_scope(expectations.c.processor_account),
    )
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
    .where(run_items.c.run_id == _RUN)
    .group_by(expectations.c.processor_account, expectations.c.asset)
)
_observed_lines = (
    select(statement_lines.c.processor_account, statement_lines.c.asset, statement_lines.c.net)
    .join(run_items, run_items.c.line_id == statement_lines.c.line_id)
    .where(
        run_items.c.run_id == _RUN,
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
    .where(run_items.c.run_id == _RUN, rejected_rows.c.net.is_not(None))
)
_observed = _observed_lines.union_all(_observed_rows).subquery("observed")
_OBSERVED = compiled(
    select(
        _observed.c.processor_account, _observed.c.asset, func.sum(_observed.c.net).label("net")
    ).group_by(_observed.c.processor_account, _observed.c.asset)
)
_ADD_RUN = compiled(insert(runs))
_ADD_ITEMS = compiled(insert_many(run_items, *ITEM_COLUMNS))
_FORGET = compiled(delete(run_items).where(run_items.c.run_id == _RUN))
_RUN_ROW = compiled(select(runs).where(runs.c.run_id == _RUN))
_RUNNING = compiled(select(runs).where(runs.c.state == bindparam("state", RunState.RUNNING.value)))
_PLANNED = compiled(
    update(runs)
    .where(runs.c.run_id == _RUN, ~runs.c.planned)
    .values(
        planned=True,
        bridge=bindparam("bridge"),
        matched_count=bindparam("matched"),
        exception_counts=bindparam("counts"),
        detail=bindparam("detail"),
    )
)
_FINISH = compiled(
    update(runs)
    .where(runs.c.run_id == _RUN, runs.c.state == bindparam("was", RunState.RUNNING.value))
    .values(state=bindparam("state"), finish_time=bindparam("at"), result_hash=bindparam("hash"))
)


class RunWrites:
    """The part of a unit that reconciles."""

    _tx: UnitOfWork

    async def run(self, run_id: str) -> Run | None:
        """The run with this id."""
        row = await self._tx.read_one(_RUN_ROW, of_run=run_id)
        return run_of(row) if row else None

    async def running(self) -> Run | None:
        """The run that is under way, or that a crash left behind."""
        row = await self._tx.read_one(_RUNNING)
        return run_of(row) if row else None

    def add_run(self, run: Run) -> None:
        """Begin it."""
        self._tx.write(
            _ADD_RUN,
            run_id=run.run_id,
            state=run.state.value,
            cutoff_time=run.cutoff_time,
            processor_accounts=list(run.processor_accounts),
            planned=False,
            bridge=[],
            matched_count=0,
            exception_counts={},
            detail="",
            create_time=run.create_time,
            finish_time=None,
            result_hash=b"",
        )

    async def waiting_lines(self, run: Run) -> list[Waiting]:
        """New lines of registered statements, and those in suspense."""
        rows = await self._tx.read(_WAITING, accounts=list(run.processor_accounts))
        return [Waiting(line_of(row), LineState(row["state"])) for row in rows]

    async def candidates(self, run: Run) -> list[Expectation]:
        """Every expectation that shares an account and a reference with a waiting line."""
        rows = await self._tx.read(_CANDIDATES, accounts=list(run.processor_accounts))
        return [expectation_of(row) for row in rows]

    async def overdue(self, run: Run) -> list[Expectation]:
        """Open expectations that were due before the cut-off."""
        rows = await self._tx.read(
            _OVERDUE, accounts=list(run.processor_accounts), cutoff=run.cutoff_time
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

    def forget_items(self, run_id: str) -> None:
        """Drop a plan that was not frozen."""
        self._tx.write(_FORGET, expect=None, of_run=run_id)

    def add_items(self, run_id: str, items: Sequence[Item]) -> None:
        """Write decisions down, none of them applied."""
        values = [(run_id, item) for item in items]
        self._tx.write(_ADD_ITEMS, expect=len(items), **arrays(ITEM_COLUMNS, values, _item_values))

    async def expected_sums(self, run_id: str) -> dict[Cell, int]:
        """What the operations of the plan should bring, net of fees, counted by the database."""
        return _sums(await self._tx.read(_EXPECTED, of_run=run_id))

    async def observed_sums(self, run_id: str) -> dict[Cell, int]:
        """What the new lines and readable rows of the plan bring, net of fees."""
        return _sums(await self._tx.read(_OBSERVED, of_run=run_id))

    def mark_planned(self, run: Run) -> None:
        """Freeze the plan."""
        self._tx.write(
            _PLANNED,
            of_run=run.run_id,
            bridge=[[b.label, b.processor_account, b.asset, b.amount, b.count] for b in run.bridge],
            matched=run.matched_count,
            counts=run.exception_counts,
            detail=run.detail,
        )

    def finish(self, run: Run) -> None:
        """Close it."""
        self._tx.write(
            _FINISH,
            of_run=run.run_id,
            state=run.state.value,
            at=run.finish_time,
            hash=run.result_hash,
        )


def run_of(row: Record) -> Run:
    """The domain's value of a row."""
    return Run(
        run_id=row["run_id"],
        state=RunState(row["state"]),
        cutoff_time=row["cutoff_time"],
        processor_accounts=tuple(row["processor_accounts"]),
        planned=row["planned"],
        create_time=row["create_time"],
        bridge=tuple(BridgeLine(*line) for line in orjson.loads(row["bridge"])),
        matched_count=row["matched_count"],
        exception_counts=orjson.loads(row["exception_counts"]),
        detail=row["detail"],
        finish_time=row["finish_time"],
        result_hash=row["result_hash"],
    )


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


def _item_values(given: tuple[str, Item]) -> Sequence[object]:
    run_id, item = given
    refused = item.refused
    return (
        run_id,
        item.number,
        str(item.outcome),
        item.line.line_id if item.line else None,
        item.before.value,
        item.event.value if item.event else None,
        item.operation.operation if item.operation else None,
        item.related.operation if item.related else None,
        refused.statement_id if refused else None,
        refused.row.row if refused else None,
        item.second,
        item.second_expected,
        item.second_observed,
        False,
    )
