"""The router's tables in memory and the unit of work on them, row by row as its SQL writes them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cashier_common.db.failures import ConstraintBroken
from cashier_common.db.requests import KeyTaken
from cashier_router.domain.lifecycle import OperationState
from cashier_router.domain.opening import Step
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.questions import QuestionPlan
from cashier_router.flows.ports import Actor, Claimed, MovedOnError, Wish
from cashier_router.storage.book import CHECK_VIOLATION
from cashier_router.storage.rows import (
    moving_columns,
    moving_operation_columns,
    operation_row,
    payment_row,
    reviewed_columns,
    to_payment,
)
from cashier_router.storage.tables import LIVE_REFERENCE, PAYMENTS_KEY
from tests.simulation.database import Unit, Write

Row = dict[str, Any]
Name = tuple[str, str]  # merchant and payment
FREE = frozenset({"failed", "rejected", "canceled"})  # REFERENCE_FREE


@dataclass(frozen=True, slots=True)
class History:
    """One step as it was written, with the payment that it left behind."""

    step: Step
    actor: str
    before: Payment | None
    after: Payment
    at: datetime


@dataclass
class RouterTables:
    """What the router's database holds; `history` is its append-only record."""

    payments: dict[Name, Row] = field(default_factory=dict)
    operations: dict[Name, list[Row]] = field(default_factory=dict)
    requests: dict[Name, Claimed] = field(default_factory=dict)
    references: dict[Name, str] = field(default_factory=dict)
    cursors: dict[tuple[str, int], int] = field(default_factory=dict)
    history: dict[Name, list[History]] = field(default_factory=dict)
    leased: dict[tuple[Name, int], datetime] = field(default_factory=dict)
    to_ask: dict[tuple[Name, int], datetime] = field(default_factory=dict)

    def payment(self, name: Name) -> Payment | None:
        """The payment as one statement reads it."""
        row = self.payments.get(name)
        return None if row is None else to_payment(row, self.operations[name])

    def all(self) -> list[Payment]:
        """Every payment."""
        return [to_payment(row, self.operations[name]) for name, row in self.payments.items()]


class RouterBook:
    """See `cashier_router.flows.ports.Book`."""

    def __init__(self, unit: Unit, tables: RouterTables, questions: QuestionPlan) -> None:
        self._unit = unit
        self._tables = tables
        self._questions = questions

    def claim(self, wish: Wish, resource: str) -> None:
        key, requests = (wish.merchant, wish.key), self._tables.requests
        claimed = Claimed(resource, wish.fingerprint)
        self._unit.write(
            Write(
                (("key", *key),),
                lambda: KeyTaken() if key in requests else None,
                lambda: requests.__setitem__(key, claimed),
            )
        )

    async def lock(self, merchant: str, name: str) -> Payment | None:
        await self._unit.lock(("payment", (merchant, name)))
        return await self._unit.read(lambda: self._tables.payment((merchant, name)))

    def add(self, payment: Payment, step: Step, actor: Actor, *, lease_s: int) -> None:
        name, tables = (payment.merchant, payment.name), self._tables

        def refuse() -> Exception | None:
            return _broken(PAYMENTS_KEY) if name in tables.payments else self._checked(payment)

        def apply() -> None:
            tables.payments[name] = payment_row(payment)
            tables.operations[name] = []
            self._moved(None, payment, step, actor, lease_s)

        self._unit.write(Write((("payment", name), *_reference(payment)), refuse, apply))

    def move(
        self, before: Payment, after: Payment, step: Step, actor: Actor, *, lease_s: int
    ) -> None:
        name, tables = (before.merchant, before.name), self._tables
        pairs = zip(before.operations, after.operations, strict=False)
        moved = [known for known, changed in pairs if known is not changed]

        def refuse() -> Exception | None:
            if tables.payments[name]["version"] != before.version:
                return MovedOnError(before.name)
            for known in moved:
                row = tables.operations[name][known.number - 1]
                if (row["state"], row["lease_epoch"]) != (known.state.value, known.lease_epoch):
                    return MovedOnError(before.name)
            return self._checked(after)

        def apply() -> None:
            tables.payments[name].update(moving_columns(after))
            if before.first_state is not after.first_state:
                tables.payments[name].update(reviewed_columns(after))
            for known in moved:
                changed = after.operation(known.number)
                row = tables.operations[name][known.number - 1]
                row.update(moving_operation_columns(changed), asks=0)
                tables.leased.pop((name, known.number), None)
                self._plan(after, changed)
            self._moved(before, after, step, actor, lease_s)

        operations = (("operation", name, known.number) for known in moved)
        rows = (("payment", name), *operations, *_reference(after))
        self._unit.write(Write(rows, refuse, apply))

    def advance_cursor(self, source: str, shard: int, *, seen: int, position: int) -> None:
        at, cursors = (source, shard), self._tables.cursors
        self._unit.write(
            Write(
                (("cursor", at),),
                lambda: None if cursors.get(at, 0) == seen else MovedOnError(source),
                lambda: cursors.__setitem__(at, position),
            )
        )

    def _moved(
        self, before: Payment | None, after: Payment, step: Step, actor: Actor, lease_s: int
    ) -> None:
        """What inserting and moving have in common: new operations, the reference, the step."""
        name, tables = (after.merchant, after.name), self._tables
        now = self._unit.database.now()
        for added in after.operations[len(before.operations) if before else 0 :]:
            tables.operations[name].append({**operation_row(after, added), "asks": 0})
            if added.state is OperationState.SUBMITTING and lease_s > 0:
                tables.leased[name, added.number] = now + timedelta(seconds=lease_s)
            self._plan(after, added)
        reference = (after.merchant, after.merchant_reference)
        if after.state.value not in FREE:
            tables.references[reference] = after.name
        elif tables.references.get(reference) == after.name:
            del tables.references[reference]
        tables.history.setdefault(name, []).append(History(step, actor.name, before, after, now))

    def _plan(self, payment: Payment, operation: Operation) -> None:
        at = ((payment.merchant, payment.name), operation.number)
        method = payment.terms.instrument.method
        pause_s = self._questions.pause_s(operation.state, method, 0)
        self._tables.to_ask.pop(at, None)
        if pause_s:
            self._tables.to_ask[at] = self._unit.database.now() + timedelta(seconds=pause_s)

    def _checked(self, payment: Payment) -> Exception | None:
        """The CHECKs and the partial unique index."""
        amounts = payment.amounts
        if amounts.capturable < 0:
            return _broken("payments_capture_in_authorized", CHECK_VIOLATION)
        if amounts.refundable < 0:
            return _broken("payments_refund_in_captured", CHECK_VIOLATION)
        if min(amounts.authorized, amounts.captured, amounts.refunded, amounts.disputed) < 0:
            return _broken("payments_amounts_not_negative", CHECK_VIOLATION)
        reference = (payment.merchant, payment.merchant_reference)
        owner = self._tables.references.get(reference, payment.name)
        if payment.state.value not in FREE and owner != payment.name:
            return _broken(LIVE_REFERENCE)
        return None


def _reference(payment: Payment) -> tuple[tuple[str, str, str], ...]:
    if payment.state.value in FREE:
        return ()
    return (("reference", payment.merchant, payment.merchant_reference),)


def _broken(constraint: str, sqlstate: str = "23505") -> ConstraintBroken:
    return ConstraintBroken(constraint=constraint, table="payments", sqlstate=sqlstate)
