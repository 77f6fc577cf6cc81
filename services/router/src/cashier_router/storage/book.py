"""The unit of work of the router's flows: every write of a payment is one of these statements."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Integer, bindparam, case, func, insert, null, update

from cashier_common.db.audit import ADVANCE, STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.failures import CommitUnknown, ConstraintBroken
from cashier_common.db.requests import KeyTaken, claim
from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_router.domain.lifecycle import OperationState
from cashier_router.domain.payment import CreatePayment, Operation, Payment
from cashier_router.domain.progress import Step
from cashier_router.flows.ports import (
    Actor,
    CommitUnknownError,
    KeyTakenError,
    MerchantReferenceTakenError,
    MovedOnError,
    PaymentNameTakenError,
)
from cashier_router.storage.rows import (
    moving_columns,
    moving_operation_columns,
    operation_row,
    payment_row,
    step_payload,
)
from cashier_router.storage.tables import (
    LIVE_REFERENCE,
    PAYMENTS_KEY,
    operations,
    payments,
)

# Columns that a statement computes itself.
_LEASE_S = bindparam("lease_s", type_=Integer)
_LEASE_UNTIL = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _LEASE_S)
_ASK_S = bindparam("ask_s", type_=Integer)
_ASK_AFTER = case(
    (_ASK_S > 0, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, _ASK_S)), else_=null()
)
_PAYMENT_COLUMNS = [
    column.name
    for column in payments.c
    if column.name not in ("lease_until", "capture_reserved", "refund_reserved")
]
_OPERATION_COLUMNS = [
    column.name for column in operations.c if column.name not in ("ask_after", "asks")
]
_MOVING = [
    "state", "failure", "authorized", "captured", "refunded", "disputed", "voided", "version",
    "update_time",
]  # fmt: skip
_MOVING_OPERATION = [
    "state", "processor_reference", "processor_code", "decline_meaning", "next_action",
    "settlement", "update_time",
]  # fmt: skip


def _bound(table: object, names: list[str]) -> dict[str, object]:
    return {name: bindparam(name, type_=table.c[name].type) for name in names}  # type: ignore[attr-defined]


INSERT_PAYMENT = compiled(
    insert(payments).values(
        **_bound(payments, _PAYMENT_COLUMNS),
        lease_until=case((_LEASE_S > 0, _LEASE_UNTIL), else_=null()),
    )
)
INSERT_OPERATION = compiled(insert(operations).values(**_bound(operations, _OPERATION_COLUMNS)))
MOVE_PAYMENT = compiled(
    update(payments)
    .where(
        payments.c.merchant == bindparam("merchant_"),
        payments.c.name == bindparam("name_"),
        payments.c.version == bindparam("before_version"),
        payments.c.lease_epoch == bindparam("lease_epoch_"),
    )
    .values(
        **_bound(payments, _MOVING),
        # A change by somebody who holds no lease leaves the lease of a sender as it is.
        lease_until=case(
            (_LEASE_S > 0, _LEASE_UNTIL),
            (bindparam("submitting", type_=Integer) > 0, payments.c.lease_until),
            else_=null(),
        ),
    )
)
MOVE_OPERATION = compiled(
    update(operations)
    .where(
        operations.c.merchant == bindparam("merchant_"),
        operations.c.payment == bindparam("payment_"),
        operations.c.number == bindparam("number_"),
        operations.c.state == bindparam("before_state"),
    )
    .values(**_bound(operations, _MOVING_OPERATION), ask_after=_ASK_AFTER)
)
METHOD = "CreatePayment"


class PaymentBook:
    """Collects the writes of one unit of work; see `flows.ports.Book`."""

    def __init__(self, tx: UnitOfWork, *, first_ask_s: int) -> None:
        self._tx = tx
        self._first_ask_s = first_ask_s

    def claim(self, command: CreatePayment) -> None:
        """Claim the command's idempotency key."""
        claim(
            self._tx, merchant=command.merchant, key=command.key, method=METHOD,
            fingerprint=command.fingerprint, resource=command.payment,
        )  # fmt: skip

    def add(self, payment: Payment, step: Step, actor: Actor, *, lease_s: int) -> None:
        """Write a new payment, its operations and its first step."""
        self._tx.write(INSERT_PAYMENT, lease_s=lease_s, **payment_row(payment))
        for operation in payment.operations:
            self._tx.write(INSERT_OPERATION, **operation_row(payment, operation))
        self._write_step(payment, step, actor)

    def move(
        self, before: Payment, after: Payment, step: Step, actor: Actor, *, lease_s: int
    ) -> None:
        """Compare-and-set `before` to `after`, with its operations and its step."""
        columns = moving_columns(after)
        del columns["lease_epoch"]
        self._tx.write(
            MOVE_PAYMENT,
            refusal=lambda: MovedOnError(before.name),
            merchant_=before.merchant, name_=before.name, before_version=before.version,
            lease_epoch_=before.lease_epoch, lease_s=lease_s,
            submitting=1 if after.submitting else 0, **columns,
        )  # fmt: skip
        for known, changed in zip(before.operations, after.operations, strict=False):
            if known is not changed:
                self._move_operation(before, known, changed)
        for added in after.operations[len(before.operations) :]:
            self._tx.write(INSERT_OPERATION, **operation_row(after, added))
        self._write_step(after, step, actor)

    def advance_cursor(self, source: str, shard: int, *, seen: int, position: int) -> None:
        """Remember how far a stream of another service was applied; once, whoever else tries."""
        self._tx.write(
            ADVANCE, refusal=lambda: MovedOnError(source),
            source=source, shard=shard, seen=seen, position=position,
        )  # fmt: skip

    def _move_operation(self, payment: Payment, known: Operation, changed: Operation) -> None:
        ask_s = self._first_ask_s if changed.state is OperationState.IN_DOUBT else 0
        self._tx.write(
            MOVE_OPERATION,
            refusal=lambda: MovedOnError(payment.name),
            merchant_=payment.merchant, payment_=payment.name, number_=changed.number,
            before_state=known.state.value, ask_s=ask_s, **moving_operation_columns(changed),
        )  # fmt: skip

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
async def open_book(database: Database, *, first_ask_s: int) -> AsyncIterator[PaymentBook]:
    """A unit of work whose failures are those of `flows.ports`."""
    try:
        async with database.begin() as tx:
            yield PaymentBook(tx, first_ask_s=first_ask_s)
    except KeyTaken as taken:
        raise KeyTakenError from taken
    except CommitUnknown as unknown:
        raise CommitUnknownError(str(unknown)) from unknown
    except ConstraintBroken as broken:
        if broken.constraint == PAYMENTS_KEY:
            raise PaymentNameTakenError from broken
        if broken.constraint == LIVE_REFERENCE:
            raise MerchantReferenceTakenError from broken
        raise
