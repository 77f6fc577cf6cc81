"""Runs and their frozen decisions, and what a run looks at."""

from collections.abc import Sequence

import orjson
from asyncpg import Record
from sqlalchemy import (
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_common.db.types import insert_many
from cashier_recon.domain.bridge import BridgeLine
from cashier_recon.domain.lifecycle import RunState
from cashier_recon.domain.run_plan import Item, Run
from cashier_recon.storage.bulk import arrays
from cashier_recon.storage.tables import (
    run_items,
    runs,
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
_RUN = bindparam("of_run", type_=Text())
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

    def forget_items(self, run_id: str) -> None:
        """Drop a plan that was not frozen."""
        self._tx.write(_FORGET, expect=None, of_run=run_id)

    def add_items(self, run_id: str, items: Sequence[Item]) -> None:
        """Write decisions down, none of them applied."""
        values = [(run_id, item) for item in items]
        self._tx.write(_ADD_ITEMS, expect=len(items), **arrays(ITEM_COLUMNS, values, _item_values))

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
