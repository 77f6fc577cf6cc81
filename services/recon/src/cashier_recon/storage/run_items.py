"""Applying a run's decisions: lines, expectations, journals and exceptions move together."""

from collections.abc import Iterable, Mapping, Sequence

from asyncpg import Record
from sqlalchemy import BigInteger, Integer, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from cashier_common.db.transaction import Query, UnitOfWork, compiled
from cashier_recon.domain.consequences import Consequences
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.lifecycle import ExpectationState, LineEvent, LineState
from cashier_recon.domain.run_plan import Item, Refused, Run
from cashier_recon.storage.bulk import arrays
from cashier_recon.storage.exceptions import ExceptionWrites
from cashier_recon.storage.expectations import expectation_of
from cashier_recon.storage.ledger import LedgerWrites
from cashier_recon.storage.run_reads import rejected_of
from cashier_recon.storage.statements import line_of
from cashier_recon.storage.tables import expectations, rejected_rows, run_items, statement_lines

_RUN = bindparam("of_run", type_=Text())
_OPEN = compiled(
    select(*run_items.c)
    .where(run_items.c.run_id == _RUN, ~run_items.c.applied)
    .order_by(run_items.c.number)
    .limit(bindparam("most"))
)
_PAGE = compiled(
    select(*run_items.c)
    .where(run_items.c.run_id == _RUN, run_items.c.number > bindparam("after"))
    .order_by(run_items.c.number)
    .limit(bindparam("most"))
)
_LINES = compiled(
    select(*statement_lines.c).where(
        statement_lines.c.line_id == func.any(bindparam("ids", type_=ARRAY(Text)))
    )
)
_EXPECTATIONS = compiled(
    select(*expectations.c).where(
        expectations.c.operation == func.any(bindparam("ids", type_=ARRAY(Text)))
    )
)
_ROWS = compiled(
    select(*rejected_rows.c).where(
        rejected_rows.c.statement_id == func.any(bindparam("ids", type_=ARRAY(Text)))
    )
)
_APPLIED = compiled(
    update(run_items)
    .where(
        run_items.c.run_id == _RUN,
        ~run_items.c.applied,
        run_items.c.number == func.any(bindparam("numbers", type_=ARRAY(BigInteger))),
    )
    .values(applied=True)
)


_line = (
    func.unnest(
        bindparam("line_ids", type_=ARRAY(Text)),
        bindparam("befores", type_=ARRAY(Text)),
        bindparam("afters", type_=ARRAY(Text)),
        bindparam("operations", type_=ARRAY(Text)),
    )
    .table_valued("line_id", "before", "after", "operation", name="given")
    .render_derived()
)
_MOVE_LINES = compiled(
    update(statement_lines)
    .where(statement_lines.c.line_id == _line.c.line_id, statement_lines.c.state == _line.c.before)
    .values(state=_line.c.after, operation=_line.c.operation, run_id=_RUN)
)
_settled = (
    func.unnest(
        bindparam("settled", type_=ARRAY(Text)),
        bindparam("states", type_=ARRAY(Text)),
        bindparam("lines", type_=ARRAY(Text)),
        bindparam("amounts", type_=ARRAY(BigInteger)),
        bindparam("fees", type_=ARRAY(BigInteger)),
    )
    .table_valued("operation", "state", "line_id", "amount", "fee", name="given")
    .render_derived()
)
_SETTLE = compiled(
    update(expectations)
    .where(
        expectations.c.operation == _settled.c.operation,
        expectations.c.state == bindparam("was", ExpectationState.OPEN.value),
    )
    .values(
        state=_settled.c.state,
        settled_line=_settled.c.line_id,
        settled_amount=_settled.c.amount,
        settled_fee=_settled.c.fee,
        settle_time=bindparam("at"),
    )
)
_row = (
    func.unnest(
        bindparam("statement_ids", type_=ARRAY(Text)), bindparam("rows", type_=ARRAY(Integer))
    )
    .table_valued("statement_id", "row", name="given")
    .render_derived()
)
_TELL_ROWS = compiled(
    update(rejected_rows)
    .where(rejected_rows.c.statement_id == _row.c.statement_id, rejected_rows.c.row == _row.c.row)
    .values(run_id=_RUN)
)


class ItemWrites(ExceptionWrites, LedgerWrites):
    """The part of a unit that applies decisions."""

    _tx: UnitOfWork

    async def open_items(self, run_id: str, limit: int) -> list[Item]:
        """The next decisions to apply, whole."""
        return await self._items(await self._tx.read(_OPEN, of_run=run_id, most=limit))

    async def items(self, run_id: str, *, after: int, limit: int) -> list[Item]:
        """Decisions of a run by number, behind `after`."""
        rows = await self._tx.read(_PAGE, of_run=run_id, after=after, most=limit)
        return await self._items(rows)

    async def apply(self, run: Run, items: Sequence[Item], done: Sequence[Consequences]) -> None:
        """Write what follows and mark the items; another run that was faster breaks the unit."""
        self.add_journals([one.journal for one in done if one.journal])
        self._move_lines(run, [(i, d) for i, d in zip(items, done, strict=True) if d.line_state])
        self._settle(run, [(i, d) for i, d in zip(items, done, strict=True) if d.expectation_state])
        refused = [item.refused for item in items if item.refused]
        if refused:
            self._tx.write(
                _TELL_ROWS,
                expect=len(refused),
                of_run=run.run_id,
                statement_ids=[one.statement_id for one in refused],
                rows=[one.row.row for one in refused],
            )
        await self.tell(
            run,
            found=[found for one in done for found in one.found],
            solved=[name for one in done for name in one.solved],
        )
        numbers = [item.number for item in items]
        self._tx.write(_APPLIED, expect=len(numbers), of_run=run.run_id, numbers=numbers)

    def _move_lines(self, run: Run, moves: Sequence[tuple[Item, Consequences]]) -> None:
        if moves:
            columns = arrays(("line_ids", "befores", "afters", "operations"), moves, _line_move)
            self._tx.write(_MOVE_LINES, expect=len(moves), of_run=run.run_id, **columns)

    def _settle(self, run: Run, moves: Sequence[tuple[Item, Consequences]]) -> None:
        if moves:
            columns = arrays(("settled", "states", "lines", "amounts", "fees"), moves, _settlement)
            self._tx.write(_SETTLE, expect=len(moves), at=run.cutoff_time, **columns)

    async def _items(self, rows: Sequence[Record]) -> list[Item]:
        lines = await self._by("line_id", _LINES, (row["line_id"] for row in rows))
        names = [row[name] for row in rows for name in ("operation", "related")]
        about = await self._by("operation", _EXPECTATIONS, names)
        statements = sorted({r["rejected_statement"] for r in rows if r["rejected_statement"]})
        letters = await self._tx.read(_ROWS, ids=statements) if statements else []
        refused = {
            (one["statement_id"], one["row"]): Refused(
                one["statement_id"], one["processor_account"], rejected_of(one)
            )
            for one in letters
        }
        return [_item(row, lines, about, refused) for row in rows]

    async def _by(
        self, column: str, query: Query, names: Iterable[str | None]
    ) -> dict[str, Record]:
        wanted = sorted({name for name in names if name})
        rows = await self._tx.read(query, ids=wanted) if wanted else []
        return {row[column]: row for row in rows}


def _item(
    row: Record,
    lines: Mapping[str, Record],
    about: Mapping[str, Record],
    refused: Mapping[tuple[str, int], Refused],
) -> Item:
    def expectation(name: str | None) -> Expectation | None:
        return expectation_of(about[name]) if name else None

    line = lines[row["line_id"]] if row["line_id"] else None
    return Item(
        number=row["number"],
        outcome=row["outcome"],
        line=line_of(line) if line else None,
        before=LineState(row["before_state"]),
        event=LineEvent(row["event"]) if row["event"] else None,
        operation=expectation(row["operation"]),
        related=expectation(row["related"]),
        refused=refused.get((row["rejected_statement"], row["rejected_row"])),
        second=row["second"],
        second_expected=row["second_expected"],
        second_observed=row["second_observed"],
    )


def _line_move(move: tuple[Item, Consequences]) -> Sequence[object]:
    item, done = move
    if item.line is None or done.line_state is None:
        raise ValueError(f"item {item.number} moves no line")
    name = item.operation.operation if item.operation else None
    return (item.line.line_id, item.before.value, done.line_state.value, name)


def _settlement(move: tuple[Item, Consequences]) -> Sequence[object]:
    item, done = move
    if item.line is None or item.operation is None or done.expectation_state is None:
        raise ValueError(f"item {item.number} settles nothing")
    line, operation = item.line, item.operation
    is_same = line.asset == operation.asset  # money of another asset settles nothing
    return (
        operation.operation,
        done.expectation_state.value,
        line.line_id,
        line.amount if is_same else None,
        line.fee if is_same else None,
    )
