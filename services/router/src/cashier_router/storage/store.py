"""Reads of payments, and the leases by which workers take them over."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)

from cashier_common.db.audit import CURSOR
from cashier_common.db.engine import Database
from cashier_common.db.requests import FIND
from cashier_common.db.transaction import compiled
from cashier_router.domain.payment import Operation, Payment
from cashier_router.flows.ports import Claimed
from cashier_router.storage.book import PaymentBook, open_book
from cashier_router.storage.rows import Row, to_payment
from cashier_router.storage.tables import operations, payments

# A payment and its operations are read by one statement: two would show a payment from before an
# answer with operations from after it.
_OPERATION = "operation_"
_OPERATION_COLUMNS = tuple(column.label(_OPERATION + column.name) for column in operations.c)
PAYMENT = compiled(
    select(payments, *_OPERATION_COLUMNS)
    .outerjoin(
        operations,
        and_(operations.c.merchant == payments.c.merchant, operations.c.payment == payments.c.name),
    )
    .where(payments.c.merchant == bindparam("merchant"), payments.c.name == bindparam("name"))
    .order_by(operations.c.number)
)
# Taking a lease bumps its epoch: whatever the former owner still writes misses.
TAKE_EXPIRED = compiled(
    text(
        """
        WITH due AS (
            SELECT merchant, name FROM payments
            WHERE lease_until < now() ORDER BY lease_until LIMIT :count FOR UPDATE SKIP LOCKED
        )
        UPDATE payments p
        SET lease_epoch = p.lease_epoch + 1,
            lease_until = now() + make_interval(secs => :lease_s)
        FROM due WHERE p.merchant = due.merchant AND p.name = due.name
        RETURNING p.merchant, p.name
        """
    ).bindparams(bindparam("count", type_=Integer), bindparam("lease_s", type_=Integer))
)
# A question about a doubt changes nothing by itself, so taking one needs no epoch: pushing the due
# time keeps other replicas away while we ask, and the payment's version guards the answer.
TAKE_DOUBTS = compiled(
    text(
        """
        WITH due AS (
            SELECT merchant, payment, number FROM operations
            WHERE ask_after < now() AND state = 'in_doubt'
            ORDER BY ask_after LIMIT :count FOR UPDATE SKIP LOCKED
        )
        UPDATE operations o SET ask_after = now() + make_interval(secs => :lease_s)
        FROM due WHERE o.merchant = due.merchant AND o.payment = due.payment
            AND o.number = due.number
        RETURNING o.merchant, o.payment AS name
        """
    ).bindparams(bindparam("count", type_=Integer), bindparam("lease_s", type_=Integer))
)
PLAN_QUESTION = compiled(
    update(operations)
    .where(
        operations.c.merchant == bindparam("merchant_"),
        operations.c.payment == bindparam("payment_"),
        operations.c.number == bindparam("number_"),
        operations.c.state == "in_doubt",
    )
    .values(
        asks=operations.c.asks + 1,
        ask_after=func.now()
        + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("after_s", type_=Integer)),
    )
)


def _listed() -> Select[tuple[object, ...]]:
    states = bindparam("states", type_=ARRAY(Text))
    reference = bindparam("merchant_reference", type_=Text)
    after_time = bindparam("before_time", type_=TIMESTAMP(timezone=True))
    first, last = (bindparam(n, type_=TIMESTAMP(timezone=True)) for n in ("min_time", "max_time"))
    key = tuple_(payments.c.create_time, payments.c.name)
    page = (
        select(payments)
        .where(
            payments.c.merchant == bindparam("merchant"),
            or_(states.is_(None), payments.c.state == func.any(states)),
            or_(reference.is_(None), payments.c.merchant_reference == reference),
            or_(first.is_(None), payments.c.create_time >= first),
            or_(last.is_(None), payments.c.create_time < last),
            or_(
                after_time.is_(None),
                key < tuple_(after_time, bindparam("before_name", type_=Text)),
            ),
        )
        .order_by(payments.c.create_time.desc(), payments.c.name.desc())
        .limit(bindparam("count", type_=BigInteger))
        .subquery("page")
    )
    its = and_(operations.c.merchant == page.c.merchant, operations.c.payment == page.c.name)
    return (
        select(page, *_OPERATION_COLUMNS)
        .outerjoin(operations, its)
        .order_by(page.c.create_time.desc(), page.c.name.desc(), operations.c.number)
    )


LIST = compiled(_listed())


class PaymentStore:
    """See `flows.ports.Store`."""

    def __init__(self, database: Database, *, first_ask_s: int) -> None:
        self._database = database
        self._first_ask_s = first_ask_s

    def begin(self) -> AbstractAsyncContextManager[PaymentBook]:
        """A unit of work."""
        return open_book(self._database, first_ask_s=self._first_ask_s)

    async def find_key(self, merchant: str, key: str) -> Claimed | None:
        """What the key was used for."""
        row = await self._database.fetch_one(FIND, merchant=merchant, key=key)
        return None if row is None else Claimed(row["resource"], bytes(row["fingerprint"]))

    async def payment(self, merchant: str, name: str) -> Payment | None:
        """One payment with its operations."""
        found = _payments(await self._database.fetch(PAYMENT, merchant=merchant, name=name))
        return found[0] if found else None

    async def listed(
        self,
        merchant: str,
        *,
        states: list[str] | None,
        merchant_reference: str | None,
        min_time: datetime | None,
        max_time: datetime | None,
        before: tuple[datetime, str] | None,
        count: int,
    ) -> list[Payment]:
        """Payments newest first; `before` is the key of the last one of the page before."""
        rows = await self._database.fetch(
            LIST, merchant=merchant, states=states, merchant_reference=merchant_reference,
            min_time=min_time, max_time=max_time, before_time=before[0] if before else None,
            before_name=before[1] if before else None, count=count,
        )  # fmt: skip
        return _payments(rows)

    async def take_expired_leases(self, limit: int, lease_s: int) -> list[Payment]:
        """Payments whose owner is gone, each now ours under a new lease epoch."""
        taken = await self._database.fetch(TAKE_EXPIRED, count=limit, lease_s=lease_s)
        return await self._loaded(taken)

    async def take_due_doubts(self, limit: int, lease_s: int) -> list[Payment]:
        """Payments with an operation in doubt that is due to be asked about."""
        taken = await self._database.fetch(TAKE_DOUBTS, count=limit, lease_s=lease_s)
        return await self._loaded(taken)

    async def plan_question(
        self, payment: Payment, operation: Operation, after_s: int | None
    ) -> None:
        """Count one question and set when the next is due; NULL seconds end them."""
        await self._database.execute(
            PLAN_QUESTION, merchant_=payment.merchant, payment_=payment.name,
            number_=operation.number, after_s=after_s,
        )  # fmt: skip

    async def cursor(self, source: str, shard: int) -> int:
        """How far a stream was applied."""
        row = await self._database.fetch_one(CURSOR, source=source, shard=shard)
        return 0 if row is None else int(row["position"])

    async def _loaded(self, taken: list[Row]) -> list[Payment]:
        found = [await self.payment(row["merchant"], row["name"]) for row in taken]
        return [payment for payment in found if payment is not None]


def _payments(rows: list[Row]) -> list[Payment]:
    """One payment for all rows of its name, in the order in which the names come."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row["name"], []).append(row)
    return [
        to_payment(found[0], [_operation(row) for row in found if row["operation_number"]])
        for found in parts.values()
    ]


def _operation(row: Row) -> Row:
    return {column.name: row[_OPERATION + column.name] for column in operations.c}
