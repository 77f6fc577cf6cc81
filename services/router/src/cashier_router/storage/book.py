"""The unit of work of the router's flows: every write of a payment is one of these statements."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Integer, bindparam, case, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from cashier_common.db.audit import ADVANCE, STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.failures import CommitUnknown, ConstraintBroken
from cashier_common.db.requests import KeyTaken, claim
from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_router.domain.lifecycle import OperationState
from cashier_router.domain.opening import Step
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.questions import QuestionPlan
from cashier_router.flows.ports import (
    Actor,
    BoundsBrokenError,
    CommitUnknownError,
    KeyTakenError,
    MerchantReferenceTakenError,
    MovedOnError,
    PaymentNameTakenError,
    Wish,
)
from cashier_router.storage.reads import PAYMENT, to_payments
from cashier_router.storage.rows import (
    AMOUNTS,
    dispute_row,
    moving_columns,
    moving_operation_columns,
    operation_row,
    payment_row,
    reviewed_columns,
    step_payload,
)
from cashier_router.storage.tables import (
    LIVE_REFERENCE,
    PAYMENTS_KEY,
    disputes,
    operations,
    payments,
)

# PostgreSQL's SQLSTATE for a row that a CHECK refuses.
CHECK_VIOLATION = "23514"
# Columns that a statement computes itself.
_LEASE_S = bindparam("lease_s", type_=Integer)
_LEASE_UNTIL = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _LEASE_S)
_ASK_S = bindparam("ask_s", type_=Integer)
_ASK_AFTER = case(
    (_ASK_S > 0, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _ASK_S)), else_=null()
)
_PAYMENT_COLUMNS = [column.name for column in payments.c]
_OPERATION_COLUMNS = [
    column.name
    for column in operations.c
    if column.name not in ("ask_after", "asks", "lease_until")
]
_MOVING = [
    "state", "failure", *AMOUNTS, "cancel_requested", "disputes", "attention", "version",
    "update_time",
]  # fmt: skip
_MOVING_OPERATION = [
    "state", "processor_reference", "processor_code", "decline_meaning", "next_action",
    "settlement", "update_time",
]  # fmt: skip


def _bound(table: object, names: list[str]) -> dict[str, object]:
    return {name: bindparam(name, type_=table.c[name].type) for name in names}  # type: ignore[attr-defined]


INSERT_PAYMENT = compiled(insert(payments).values(**_bound(payments, _PAYMENT_COLUMNS)))
INSERT_OPERATION = compiled(
    insert(operations).values(
        **_bound(operations, _OPERATION_COLUMNS),
        lease_until=case((_LEASE_S > 0, _LEASE_UNTIL), else_=null()),
        ask_after=_ASK_AFTER,
    )
)
_UNMOVED = update(payments).where(
    payments.c.merchant == bindparam("merchant_"),
    payments.c.name == bindparam("name_"),
    payments.c.version == bindparam("before_version"),
)
MOVE_PAYMENT = compiled(_UNMOVED.values(**_bound(payments, _MOVING)))
# After a review the payment is routed anew; no other change touches these.
MOVE_REVIEWED = compiled(_UNMOVED.values(**_bound(payments, [*_MOVING, "first_state", "decision"])))
MOVE_OPERATION = compiled(
    update(operations)
    .where(
        operations.c.merchant == bindparam("merchant_"),
        operations.c.payment == bindparam("payment_"),
        operations.c.number == bindparam("number_"),
        operations.c.state == bindparam("before_state"),
        # A stalled sender that wakes up after somebody took over writes nothing.
        operations.c.lease_epoch == bindparam("lease_epoch_"),
    )
    .values(
        **_bound(operations, _MOVING_OPERATION), asks=0, ask_after=_ASK_AFTER, lease_until=null()
    )
)
_dispute = insert(disputes).values(**_bound(disputes, [column.name for column in disputes.c]))
WRITE_DISPUTE = compiled(
    _dispute.on_conflict_do_update(
        index_elements=["merchant", "name"],
        set_={name: _dispute.excluded[name] for name in ("stage", "state", "evidence_due")},
    )
)
LOCK = compiled(
    select(payments.c.name)
    .where(payments.c.merchant == bindparam("merchant"), payments.c.name == bindparam("name"))
    .with_for_update()
)


class PaymentBook:
    """Collects the writes of one unit of work; see `flows.ports.Book`."""

    def __init__(self, tx: UnitOfWork, questions: QuestionPlan) -> None:
        self._tx = tx
        self._questions = questions

    def claim(self, wish: Wish, resource: str) -> None:
        """Claim the wish's idempotency key."""
        claim(
            self._tx, merchant=wish.merchant, key=wish.key, method=wish.method,
            fingerprint=wish.fingerprint, resource=resource,
        )  # fmt: skip

    async def lock(self, merchant: str, name: str) -> Payment | None:
        """The payment with its operations, held until the unit ends."""
        if await self._tx.read_one(LOCK, merchant=merchant, name=name) is None:
            return None
        # A second statement: the first one's snapshot may be older than the lock.
        return to_payments(await self._tx.read(PAYMENT, merchant=merchant, name=name))[0]

    def add(self, payment: Payment, step: Step, actor: Actor, *, lease_s: int) -> None:
        """Write a new payment, its operations and its first step."""
        self._tx.write(INSERT_PAYMENT, **payment_row(payment))
        for operation in payment.operations:
            self._insert(payment, operation, lease_s)
        self._write_step(payment, step, actor)

    def move(
        self, before: Payment, after: Payment, step: Step, actor: Actor, *, lease_s: int
    ) -> None:
        """Compare-and-set `before` to `after`, with its operations and its step."""
        reviewed = before.first_state is not after.first_state
        self._tx.write(
            MOVE_REVIEWED if reviewed else MOVE_PAYMENT,
            refusal=lambda: MovedOnError(before.name),
            merchant_=before.merchant, name_=before.name, before_version=before.version,
            **moving_columns(after), **(reviewed_columns(after) if reviewed else {}),
        )  # fmt: skip
        for known, changed in zip(before.operations, after.operations, strict=False):
            if known is not changed:
                self._move_operation(before, known, changed)
        for added in after.operations[len(before.operations) :]:
            self._insert(after, added, lease_s)
        for dispute in after.disputes:
            if dispute not in before.disputes:
                self._tx.write(WRITE_DISPUTE, **dispute_row(after, dispute))
        self._write_step(after, step, actor)

    def advance_cursor(self, source: str, shard: int, *, seen: int, position: int) -> None:
        """Remember how far a stream of another service was applied; once, whoever else tries."""
        self._tx.write(
            ADVANCE, refusal=lambda: MovedOnError(source),
            source=source, shard=shard, seen=seen, position=position,
        )  # fmt: skip

    def _insert(self, payment: Payment, operation: Operation, lease_s: int) -> None:
        submitting = operation.state is OperationState.SUBMITTING
        self._tx.write(
            INSERT_OPERATION, lease_s=lease_s if submitting else 0,
            ask_s=self._ask_s(payment, operation), **operation_row(payment, operation),
        )  # fmt: skip

    def _move_operation(self, payment: Payment, known: Operation, changed: Operation) -> None:
        self._tx.write(
            MOVE_OPERATION,
            refusal=lambda: MovedOnError(payment.name),
            merchant_=payment.merchant, payment_=payment.name, number_=changed.number,
            before_state=known.state.value, lease_epoch_=known.lease_epoch,
            ask_s=self._ask_s(payment, changed), **moving_operation_columns(changed),
        )  # fmt: skip

    def _ask_s(self, payment: Payment, operation: Operation) -> int:
        method = payment.terms.instrument.method
        return self._questions.pause_s(operation.state, method, 0) or 0

    def _write_step(self, payment: Payment, step: Step, actor: Actor) -> None:
        self._tx.write(
            STEP,
            **step_params(
                merchant=payment.merchant, subject=payment.name, version=payment.version,
                actor=actor.name, action=step.action, before_state=step.before,
                after_state=payment.state.name, payload=step_payload(payment, step),
                traceparent=actor.traceparent or payment.traceparent,
            ),
        )  # fmt: skip


@asynccontextmanager
async def open_book(database: Database, questions: QuestionPlan) -> AsyncIterator[PaymentBook]:
    """A unit of work whose failures are those of `flows.ports`."""
    try:
        async with database.begin() as tx:
            yield PaymentBook(tx, questions)
    except KeyTaken as taken:
        raise KeyTakenError from taken
    except CommitUnknown as unknown:
        raise CommitUnknownError(str(unknown)) from unknown
    except ConstraintBroken as broken:
        if broken.constraint == PAYMENTS_KEY:
            raise PaymentNameTakenError from broken
        if broken.constraint == LIVE_REFERENCE:
            raise MerchantReferenceTakenError from broken
        if broken.sqlstate == CHECK_VIOLATION:
            raise BoundsBrokenError(broken.constraint) from broken
        raise
