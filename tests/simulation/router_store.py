"""The router's port `Store` in memory: reads, and the leases by which workers take over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from cashier_common.db.failures import CommitUnknown, ConstraintBroken
from cashier_common.db.requests import KeyTaken
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.questions import QuestionPlan
from cashier_router.flows.ports import (
    BoundsBrokenError,
    Claimed,
    CommitUnknownError,
    KeyTakenError,
    MerchantReferenceTakenError,
    PaymentNameTakenError,
    Taken,
)
from cashier_router.storage.book import CHECK_VIOLATION
from cashier_router.storage.tables import LIVE_REFERENCE, PAYMENTS_KEY
from tests.simulation.database import Database, Write
from tests.simulation.router_book import Name, RouterBook, RouterTables


class RouterStore:
    """See `cashier_router.flows.ports.Store`."""

    def __init__(self, database: Database, tables: RouterTables, questions: QuestionPlan) -> None:
        self._database = database
        self._tables = tables
        self._questions = questions

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[RouterBook]:
        try:
            async with self._database.begin() as unit:
                yield RouterBook(unit, self._tables, self._questions)
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

    async def find_key(self, merchant: str, key: str) -> Claimed | None:
        return await self._database.read(lambda: self._tables.requests.get((merchant, key)))

    async def payment(self, merchant: str, name: str) -> Payment | None:
        return await self._database.read(lambda: self._tables.payment((merchant, name)))

    async def cursor(self, source: str, shard: int) -> int:
        return await self._database.read(lambda: self._tables.cursors.get((source, shard), 0))

    async def take_expired_leases(self, limit: int, lease_s: int) -> list[Taken]:
        def take() -> list[tuple[Name, int]]:
            now = self._database.now()
            due = sorted((until, at) for at, until in self._tables.leased.items() if until < now)
            free = [at for _, at in due if not self._is_locked(at)][:limit]
            for name, number in free:
                row = self._tables.operations[name][number - 1]
                row["lease_epoch"] += 1
                self._tables.leased[name, number] = now + timedelta(seconds=lease_s)
            return free

        return await self._loaded(await self._database.read(take))

    async def take_due_questions(
        self, limit: int, *, per_account: int, lease_s: int
    ) -> list[Taken]:
        def take() -> list[tuple[Name, int]]:
            now, taken = self._database.now(), []
            places: dict[str, int] = {}
            for _, at in sorted((due, at) for at, due in self._tables.to_ask.items() if due < now):
                account = self._tables.operations[at[0]][at[1] - 1]["account"]
                places[account] = places.get(account, 0) + 1
                if places[account] <= per_account and not self._is_locked(at):
                    taken.append(at)
            for at in taken[:limit]:
                self._tables.to_ask[at] = now + timedelta(seconds=lease_s)
            return taken[:limit]

        return await self._loaded(await self._database.read(take))

    async def plan_question(
        self, payment: Payment, operation: Operation, after_s: int | None
    ) -> None:
        name = (payment.merchant, payment.name)
        row = self._tables.operations[name][operation.number - 1]

        def apply() -> None:
            if row["state"] != operation.state.value:
                return
            row["asks"] += 1
            self._tables.to_ask.pop((name, operation.number), None)
            if after_s is not None:
                due = self._database.now() + timedelta(seconds=after_s)
                self._tables.to_ask[name, operation.number] = due

        await self._database.run(Write((("operation", name, operation.number),), _never, apply))

    async def in_doubt(self, merchants: object, *, after: object, count: int) -> list[Payment]:
        """Payments that need a person."""
        del merchants, after
        return await self._database.read(
            lambda: [payment for payment in self._tables.all() if payment.in_doubt][:count]
        )

    def _is_locked(self, at: tuple[Name, int]) -> bool:
        return self._database.is_locked(("operation", *at))

    async def _loaded(self, taken: list[tuple[Name, int]]) -> list[Taken]:
        found = []
        for (merchant, name), number in taken:
            payment = await self.payment(merchant, name)
            if payment is not None:
                found.append(Taken(payment, number))
        return found


def _never() -> Exception | None:
    return None
