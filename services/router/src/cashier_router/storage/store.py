"""Reads of payments, and the leases by which workers take operations over."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from sqlalchemy import Integer, bindparam, func, text, update

from cashier_common.db.audit import CURSOR
from cashier_common.db.engine import Database
from cashier_common.db.requests import FIND
from cashier_common.db.transaction import compiled
from cashier_router.domain.dispute import Dispute
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.questions import QuestionPlan
from cashier_router.flows.ports import Claimed, DisputeFilter, Taken
from cashier_router.storage.book import PaymentBook, open_book
from cashier_router.storage.reads import (
    DISPUTES_PAGE,
    FOR_PEOPLE_PAGE,
    LIST,
    PAYMENT,
    to_payments,
)
from cashier_router.storage.rows import Row
from cashier_router.storage.tables import operations

# Taking a lease bumps its epoch: whatever the former sender still writes misses.
TAKE_EXPIRED = compiled(
    text(
        """
        WITH due AS (
            SELECT merchant, payment, number FROM operations
            WHERE lease_until < now() AND state = 'submitting'
            ORDER BY lease_until LIMIT :count FOR UPDATE SKIP LOCKED
        )
        UPDATE operations o
        SET lease_epoch = o.lease_epoch + 1,
            lease_until = now() + make_interval(secs => :lease_s)
        FROM due WHERE o.merchant = due.merchant AND o.payment = due.payment
            AND o.number = due.number
        RETURNING o.merchant, o.payment, o.number
        """
    ).bindparams(bindparam("count", type_=Integer), bindparam("lease_s", type_=Integer))
)
# A question changes nothing by itself, so taking one needs no epoch: pushing the due time keeps
# other replicas away while we ask, and the payment's version guards the answer. No more than
# `per_account` of one processor account are taken in a round, so that a processor that comes back
# is not asked about everything at once.
TAKE_QUESTIONS = compiled(
    text(
        """
        WITH due AS (
            SELECT merchant, payment, number,
                   row_number() OVER (PARTITION BY account ORDER BY ask_after) AS place
            FROM operations WHERE ask_after < now()
        ), taken AS (
            SELECT o.merchant, o.payment, o.number
            FROM operations o JOIN due USING (merchant, payment, number)
            WHERE due.place <= :per_account AND o.ask_after < now()
            ORDER BY o.ask_after LIMIT :count FOR UPDATE OF o SKIP LOCKED
        )
        UPDATE operations o SET ask_after = now() + make_interval(secs => :lease_s)
        FROM taken WHERE o.merchant = taken.merchant AND o.payment = taken.payment
            AND o.number = taken.number
        RETURNING o.merchant, o.payment, o.number
        """
    ).bindparams(
        bindparam("count", type_=Integer),
        bindparam("per_account", type_=Integer),
        bindparam("lease_s", type_=Integer),
    )
)
PLAN_QUESTION = compiled(
    update(operations)
    .where(
        operations.c.merchant == bindparam("merchant_"),
        operations.c.payment == bindparam("payment_"),
        operations.c.number == bindparam("number_"),
        operations.c.state == bindparam("state_"),
    )
    .values(
        asks=operations.c.asks + 1,
        ask_after=func.now()
        + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("after_s", type_=Integer)),
    )
)


class PaymentStore:
    """See `flows.ports.Store`."""

    def __init__(self, database: Database, questions: QuestionPlan) -> None:
        self._database = database
        self._questions = questions

    def begin(self) -> AbstractAsyncContextManager[PaymentBook]:
        """A unit of work."""
        return open_book(self._database, self._questions)

    async def find_key(self, merchant: str, key: str) -> Claimed | None:
        """What the key was used for."""
        row = await self._database.fetch_one(FIND, merchant=merchant, key=key)
        return None if row is None else Claimed(row["resource"], bytes(row["fingerprint"]))

    async def payment(self, merchant: str, name: str) -> Payment | None:
        """One payment with its operations."""
        found = to_payments(await self._database.fetch(PAYMENT, merchant=merchant, name=name))
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
        return to_payments(rows)

    async def in_doubt(
        self,
        merchants: Sequence[str] | None,
        *,
        after: tuple[datetime, str, str] | None,
        count: int,
    ) -> list[Payment]:
        """Payments that need evidence, oldest first."""
        time, merchant, name = after or (None, None, None)
        rows = await self._database.fetch(
            FOR_PEOPLE_PAGE, merchants=None if merchants is None else list(merchants),
            after_time=time, after_merchant=merchant, after_name=name, count=count,
        )  # fmt: skip
        return to_payments(rows)

    async def disputes(
        self, wanted: DisputeFilter, *, after: tuple[datetime, str, str] | None, count: int
    ) -> list[tuple[Payment, Dispute]]:
        """Disputes with their payments, those whose evidence is due first at the front."""
        due, merchant, name = after or (None, None, None)
        rows = await self._database.fetch(
            DISPUTES_PAGE, merchants=None if wanted.merchants is None else list(wanted.merchants),
            states=list(wanted.states) or None, stages=list(wanted.stages) or None,
            account=wanted.account or None, due_before=wanted.due_before,
            after_due=due, after_merchant=merchant, after_name=name, count=count,
        )  # fmt: skip
        names = list(dict.fromkeys(row["dispute"] for row in rows))
        found = to_payments(rows, by="dispute")
        return [
            (payment, dispute)
            for name, payment in zip(names, found, strict=True)
            for dispute in payment.disputes
            if payment.dispute_name(dispute) == name
        ]

    async def take_expired_leases(self, limit: int, lease_s: int) -> list[Taken]:
        """Operations whose sender is gone, each now ours under a new lease epoch."""
        return await self._loaded(
            await self._database.fetch(TAKE_EXPIRED, count=limit, lease_s=lease_s)
        )

    async def take_due_questions(
        self, limit: int, *, per_account: int, lease_s: int
    ) -> list[Taken]:
        """Operations that are due to be asked about, each kept from others for `lease_s`."""
        return await self._loaded(
            await self._database.fetch(
                TAKE_QUESTIONS, count=limit, per_account=per_account, lease_s=lease_s
            )
        )

    async def plan_question(
        self, payment: Payment, operation: Operation, after_s: int | None
    ) -> None:
        """Count one question and set when the next is due; NULL seconds end them."""
        await self._database.execute(
            PLAN_QUESTION, merchant_=payment.merchant, payment_=payment.name,
            number_=operation.number, state_=operation.state.value, after_s=after_s,
        )  # fmt: skip

    async def cursor(self, source: str, shard: int) -> int:
        """How far a stream was applied."""
        row = await self._database.fetch_one(CURSOR, source=source, shard=shard)
        return 0 if row is None else int(row["position"])

    async def _loaded(self, rows: list[Row]) -> list[Taken]:
        taken: list[Taken] = []
        for row in rows:
            payment = await self.payment(row["merchant"], row["payment"])
            if payment is not None:
                taken.append(Taken(payment, row["number"]))
        return taken
