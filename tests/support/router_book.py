"""The router's store on real PostgreSQL, and the flows' world around it with nothing else in it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cashier_common.db.engine import Database
from cashier_router.domain.payment import Payment
from cashier_router.domain.progress import RiskDecision, begin
from cashier_router.domain.questions import QuestionPlan, Schedule
from cashier_router.flows.ports import Actor, World
from cashier_router.storage.store import PaymentStore
from tests.support.router_values import a_command, a_plan, an_account, an_assessment

QUESTIONS = QuestionPlan(doubt=Schedule((5, 30)))
ACTOR = Actor("test", "")
LEASE_S = 20


@dataclass
class NoRails:
    """Rails that only name their accounts."""

    known: list[Any] = field(default_factory=lambda: [an_account()])

    def accounts(self) -> list[Any]:
        return self.known


async def through(_: str) -> None:
    """No failpoint is set."""


@dataclass
class Shelf:
    """A store with a few hands to put payments into it."""

    database: Database
    store: PaymentStore
    world: World
    as_owner: Callable[..., Any]
    made: int = 0

    async def put(
        self, *accounts: str, risk: RiskDecision = RiskDecision.FRICTIONLESS, **changes: Any
    ) -> Payment:
        """A payment as CreatePayment leaves it, promised under a lease where risk let it."""
        self.made += 1
        command = a_command(
            key=f"key-{self.made:016}", merchant_reference=f"order-{self.made}", **changes
        )
        plan = a_plan(*(accounts or ("sandbox-us",)))
        payment, step = begin(
            command, an_assessment(risk), plan, actor_trace="", at=self.world.clock.now()
        )
        async with self.store.begin() as book:
            book.claim(command, payment.name)
            book.add(payment, step, ACTOR, lease_s=LEASE_S)
        return payment

    async def lapse(self) -> None:
        """Let every lease and every pause end now."""
        await self.as_owner(
            "UPDATE operations SET lease_until = now() - interval '1 s'"
            " WHERE lease_until IS NOT NULL;"
            "UPDATE operations SET ask_after = now() - interval '1 s' WHERE ask_after IS NOT NULL"
        )

    async def found(self, payment: Payment) -> Payment:
        """The payment as it stands."""
        found = await self.store.payment(payment.merchant, payment.name)
        assert found is not None
        return found
