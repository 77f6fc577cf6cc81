"""Exceptions: told by runs, moved by people, each move a step of the audit record."""

from collections.abc import Iterable, Sequence

from asyncpg import Record
from sqlalchemy import BigInteger, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from cashier_common.db.audit import step_params
from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_common.db.types import insert_many
from cashier_common.errors import EtagMismatch, RaceLost
from cashier_common.money import Money
from cashier_recon.domain.catalogue import Severity
from cashier_recon.domain.lifecycle import (
    CLOSED,
    EXCEPTION,
    ExceptionEvent,
    ExceptionState,
    ExpectationState,
    LineState,
)
from cashier_recon.domain.recon_exception import Found, ReconException
from cashier_recon.domain.run_plan import Run
from cashier_recon.storage.bulk import arrays
from cashier_recon.storage.steps import STEP_COLUMNS, STEPS
from cashier_recon.storage.tables import exceptions, expectations, statement_lines

_COLUMNS = tuple(column.key for column in exceptions.c)
_ADD = compiled(insert_many(exceptions, *_COLUMNS))
_READ = compiled(
    select(*exceptions.c).where(
        exceptions.c.exception_id == func.any(bindparam("ids", type_=ARRAY(Text)))
    )
)
_moved = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Text)),
        bindparam("versions", type_=ARRAY(BigInteger)),
        bindparam("states", type_=ARRAY(Text)),
    )
    .table_valued("exception_id", "version", "state", name="given")
    .render_derived()
)
_SOLVE = compiled(
    update(exceptions)
    .where(
        exceptions.c.exception_id == _moved.c.exception_id,
        exceptions.c.version == _moved.c.version,
    )
    .values(
        state=_moved.c.state,
        version=exceptions.c.version + bindparam("one", 1),
        disposition=bindparam("disposition"),
        update_time=bindparam("at"),
    )
)
_MOVE = compiled(
    update(exceptions)
    .where(
        exceptions.c.exception_id == bindparam("exception"),
        exceptions.c.version == bindparam("was"),
    )
    .values(
        state=bindparam("state"),
        version=bindparam("version"),
        assignee=bindparam("assignee"),
        disposition=bindparam("disposition"),
        update_time=bindparam("at"),
    )
)
_MOVE_EXPECTATION = compiled(
    update(expectations)
    .where(
        expectations.c.operation == bindparam("of_operation"),
        expectations.c.state == bindparam("was"),
    )
    .values(state=bindparam("state"))
)
_PARK = compiled(
    update(statement_lines)
    .where(
        statement_lines.c.line_id == bindparam("line"),
        statement_lines.c.state == bindparam("was", LineState.SUSPENDED.value),
    )
    .values(state=bindparam("parked", LineState.PARKED.value))
)
LATE_MATCH = "LATE_MATCH"


class ExceptionWrites:
    """The part of a unit that tells and decides."""

    _tx: UnitOfWork

    async def exception(self, exception_id: str) -> ReconException | None:
        """The exception with this id."""
        row = await self._tx.read_one(_READ, ids=[exception_id])
        return exception_of(row) if row else None

    async def tell(self, run: Run, *, found: Sequence[Found], solved: Iterable[str]) -> None:
        """Add what is new, and close what solved itself. What was told before stays as it is."""
        fresh = {one.exception_id: one for one in found}
        names = sorted({*fresh, *solved})
        rows = await self._tx.read(_READ, ids=names) if names else []
        standing = {row["exception_id"]: exception_of(row) for row in rows}
        added = [one for name, one in fresh.items() if name not in standing]
        closing = [
            one for name, one in standing.items() if name not in fresh and one.state not in CLOSED
        ]
        opened = EXCEPTION.next(EXCEPTION.initial, ExceptionEvent.OPEN)
        if added:
            values = [(one, opened) for one in added]
            self._tx.write(_ADD, expect=len(added), **arrays(_COLUMNS, values, _new_values))
        if closing:
            self._tx.write(
                _SOLVE,
                expect=len(closing),
                refusal=lambda: RaceLost("an exception"),
                ids=[one.found.exception_id for one in closing],
                versions=[one.version for one in closing],
                states=[_solved(one).value for one in closing],
                disposition=LATE_MATCH,
                at=run.create_time,
            )
        steps = [_told(one, opened, run) for one in added] + [_closed(one, run) for one in closing]
        if steps:
            columns = arrays(STEP_COLUMNS, steps, lambda step: [step[c] for c in STEP_COLUMNS])
            self._tx.write(STEPS, expect=len(steps), **columns)

    def move_exception(self, before: ReconException, after: ReconException) -> None:
        """Compare-and-set on the version."""
        name = before.found.exception_id
        self._tx.write(
            _MOVE,
            refusal=lambda: EtagMismatch(name),
            exception=name,
            was=before.version,
            state=after.state.value,
            version=after.version,
            assignee=after.assignee,
            disposition=after.disposition,
            at=after.update_time,
        )

    def move_expectation(
        self, operation: str, before: ExpectationState, after: ExpectationState
    ) -> None:
        """Compare-and-set on the state."""
        self._tx.write(
            _MOVE_EXPECTATION,
            refusal=lambda: RaceLost(operation),
            of_operation=operation,
            was=before.value,
            state=after.value,
        )

    def park_line(self, line_id: str) -> None:
        """Keep later runs from it; a line that is not in suspense is left alone."""
        self._tx.write(_PARK, expect=None, line=line_id)


def exception_of(row: Record) -> ReconException:
    """The domain's value of a row."""
    return ReconException(
        found=Found(
            exception_id=row["exception_id"],
            type=row["type"],
            severity=Severity(row["severity"]),
            merchant=row["merchant"],
            processor_account=row["processor_account"],
            payment=row["payment"],
            operation=row["operation"],
            line_id=row["line_id"],
            expected=_money(row["expected_amount"], row["expected_asset"]),
            observed=_money(row["observed_amount"], row["observed_asset"]),
            statement_reference=row["statement_reference"],
            detail=row["detail"],
            run_id=row["run_id"],
            due_time=row["due_time"],
            found_time=row["create_time"],
        ),
        state=ExceptionState(row["state"]),
        version=row["version"],
        assignee=row["assignee"],
        disposition=row["disposition"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _money(amount: int | None, asset: str | None) -> Money | None:
    return None if amount is None or asset is None else Money(amount, asset)


def _new_values(given: tuple[Found, ExceptionState]) -> Sequence[object]:
    found, state = given
    values = {
        "exception_id": found.exception_id,
        "type": found.type,
        "severity": found.severity.value,
        "state": state.value,
        "version": 1,
        "merchant": found.merchant,
        "processor_account": found.processor_account,
        "payment": found.payment,
        "operation": found.operation,
        "line_id": found.line_id,
        "expected_amount": found.expected.minor if found.expected else None,
        "expected_asset": found.expected.asset if found.expected else None,
        "observed_amount": found.observed.minor if found.observed else None,
        "observed_asset": found.observed.asset if found.observed else None,
        "statement_reference": found.statement_reference,
        "detail": found.detail,
        "assignee": "",
        "disposition": "",
        "run_id": found.run_id,
        "due_time": found.due_time,
        "create_time": found.found_time,
        "update_time": found.found_time,
    }
    return [values[column] for column in _COLUMNS]


def _solved(standing: ReconException) -> ExceptionState:
    return EXCEPTION.next(standing.state, ExceptionEvent.LATE_MATCH)


def _told(found: Found, state: ExceptionState, run: Run) -> dict[str, object]:
    return step_params(
        merchant=found.merchant,
        subject=found.exception_id,
        version=1,
        actor="recon",
        action="EXCEPTION_FOUND",
        before_state=EXCEPTION.initial.value,
        after_state=state.value,
        payload={"type": found.type, "run": run.run_id},
        traceparent="",
    )


def _closed(standing: ReconException, run: Run) -> dict[str, object]:
    return step_params(
        merchant=standing.found.merchant,
        subject=standing.found.exception_id,
        version=standing.version + 1,
        actor="recon",
        action="EXCEPTION_SOLVED",
        before_state=standing.state.value,
        after_state=_solved(standing).value,
        payload={"disposition": LATE_MATCH, "run": run.run_id},
        traceparent="",
    )
