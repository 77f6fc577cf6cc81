"""Expectations: one row per operation, moved on only along the table of `domain/lifecycle.py`."""

from collections.abc import Sequence

from asyncpg import Record
from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.journal import Account
from cashier_recon.domain.lifecycle import EXPECTATION, ExpectationEvent, ExpectationState
from cashier_recon.domain.payment_fact import Leg
from cashier_recon.flows.ports import AlreadyBooked
from cashier_recon.storage.bulk import arrays, upsert_many
from cashier_recon.storage.tables import expectations

_COLUMNS = (
    "operation",
    "payment",
    "merchant",
    "processor_account",
    "processor_reference",
    "leg",
    "state",
    "account",
    "amount",
    "asset",
    "expected_fee",
    "fee_schedule_version",
    "due_time",
    "book_time",
)
# States that every event of the router may follow; a row in any other one is not touched, the unit
# misses its count, and the flow reads before it tries again.
_UNDECIDED = [
    state.value
    for state in (ExpectationState.PENDING, ExpectationState.DOUBT)
    if all(
        EXPECTATION.accepts(state, event)
        for event in (
            ExpectationEvent.PEND,
            ExpectationEvent.LOSE_TRACK,
            ExpectationEvent.BOOK,
            ExpectationEvent.DECLINE,
            ExpectationEvent.RELEASE,
        )
    )
]
_ADD = upsert_many(expectations, *_COLUMNS)
_WRITE = compiled(
    _ADD.on_conflict_do_update(
        index_elements=["operation"],
        set_={name: _ADD.excluded[name] for name in _COLUMNS if name != "operation"},
        where=expectations.c.state.in_([bindparam(f"s{n}", s) for n, s in enumerate(_UNDECIDED)]),
    )
)
_STANDING = compiled(
    select(*(expectations.c[name] for name in _COLUMNS)).where(
        expectations.c.operation == func.any(bindparam("operations", type_=ARRAY(Text)))
    )
)


class ExpectationWrites:
    """The part of a unit that says what should settle."""

    _tx: UnitOfWork

    def write_expectations(self, batch: Sequence[Expectation]) -> None:
        """Insert, or move on what is undecided; a decided row raises AlreadyBooked."""
        if batch:
            self._tx.write(
                _WRITE,
                expect=len(batch),
                refusal=AlreadyBooked,
                **arrays(_COLUMNS, batch, _values),
            )

    async def standing(self, operations: Sequence[str]) -> dict[str, Expectation]:
        """The expectations of these operations that stand already."""
        rows = await self._tx.read(_STANDING, operations=list(operations))
        return {row["operation"]: expectation_of(row) for row in rows}


def expectation_of(row: Record) -> Expectation:
    """The domain's value of a row that has all of its columns."""
    return Expectation(
        operation=row["operation"],
        payment=row["payment"],
        merchant=row["merchant"],
        processor_account=row["processor_account"],
        processor_reference=row["processor_reference"],
        leg=Leg(row["leg"]),
        state=ExpectationState(row["state"]),
        account=Account(row["account"]),
        amount=row["amount"],
        asset=row["asset"],
        expected_fee=row["expected_fee"],
        fee_schedule_version=row["fee_schedule_version"],
        due_time=row["due_time"],
        book_time=row["book_time"],
    )


def _values(e: Expectation) -> Sequence[object]:
    return (
        e.operation,
        e.payment,
        e.merchant,
        e.processor_account,
        e.processor_reference,
        e.leg.value,
        e.state.value,
        e.account.value,
        e.amount,
        e.asset,
        e.expected_fee,
        e.fee_schedule_version,
        e.due_time,
        e.book_time,
    )
