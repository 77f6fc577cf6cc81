"""What merchants do: pay, capture, refund, cancel; in parallel, impatiently, one key each."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc

from cashier_common.money import Money
from cashier_common.rpc.status import error_info
from cashier_router.domain.commands import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    CreatePayment,
    FollowUp,
    RefundPayment,
)
from cashier_router.domain.instrument import Token, TokenScope
from cashier_router.domain.lifecycle import PaymentState
from cashier_router.domain.payment import CaptureMethod, Direction, Payment
from cashier_router.flows.confirm_payment import confirm_payment
from cashier_router.flows.create_payment import create_payment
from cashier_router.flows.follow_up import follow_up
from cashier_router.flows.ports import World
from cashier_router.rpc.run_wish import Flow
from tests.simulation.network import Service
from tests.support.router_values import a_command, an_instrument

MERCHANTS = ("acme-games", "bolt-bets", "card-castle", "dice-den", "east-arcade", "fern-slots")
CALLER = "spiffe://cashier.local/client/checkout"
TRIES_MAX = 6
# A caller that got one of these asks again with the same key.
_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
    }
)


class Merchants:
    """All callers together, and what they were answered."""

    def __init__(self, router: Service, accounts: list[str], rng: random.Random) -> None:
        self.answers: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.refusals: Counter[str] = Counter()
        self.created = 0
        self.timeouts_s: tuple[float, ...] = (2.0, 10.0, 30.0)
        self._router = router
        self._rng = rng
        self._keys = 0
        tokens = tuple(Token(TokenScope.PROCESSOR_ACCOUNT, name, "tok") for name in accounts)
        self._terms = a_command(instrument=an_instrument(tokens=tokens)).terms

    async def one(self) -> None:
        """One customer's story."""
        stories = {
            self._sale: 30, self._order: 34, self._second_thoughts: 14, self._payout: 12,
            self._same_reference: 5, self._wrong_key: 5,
        }  # fmt: skip
        await self._rng.choices(list(stories), list(stories.values()))[0]()

    def command(self, **changes: Any) -> CreatePayment:
        """A payment of a merchant with a key and a reference of its own."""
        self.created += 1
        made = CreatePayment(
            merchant=self._rng.choice(MERCHANTS), key=self.key("create"),
            merchant_reference=f"order-{self.created}",
            amount=Money(self._rng.randrange(100, 20_000), "USD"),
            capture_method=CaptureMethod.AUTOMATIC, terms=self._terms,
        )  # fmt: skip
        return replace(made, **changes)

    async def create(self, command: CreatePayment) -> Payment | None:
        """Ask for a payment until somebody answers."""

        def flow(world: World) -> Flow:
            return lambda actor, ends_s: create_payment(
                command, None, actor, world, caller_ends_s=ends_s
            )

        return await self._insist(flow, command)

    async def follow(self, command: FollowUp) -> Payment | None:
        """Ask for something about a payment."""

        def flow(world: World) -> Flow:
            if isinstance(command, ConfirmPayment):
                return lambda actor, ends_s: confirm_payment(
                    command, actor, world, caller_ends_s=ends_s
                )
            return lambda actor, ends_s: follow_up(command, actor, world, caller_ends_s=ends_s)

        return await self._insist(flow, command)

    def key(self, what: str) -> str:
        """A new idempotency key."""
        self._keys += 1
        return f"{what}-{self._keys:016d}"

    async def _sale(self) -> None:
        command = self.command()
        payment = await self.create(command)
        payment = await self._act(payment)
        if payment is not None and self._rng.random() < 0.6:
            await self._refunds(payment)

    async def _order(self) -> None:
        command = self.command(capture_method=CaptureMethod.MANUAL)
        payment = await self._act(await self.create(command))
        if payment is None:
            return
        parts = self._rng.randrange(1, 4)
        whole = payment.amount.minor
        captures = [
            CapturePayment(
                merchant=payment.merchant, key=self.key("capture"), payment=payment.name,
                amount=self._part(whole, parts), final=self._rng.random() < 0.2,
            )
            for _ in range(parts)
        ]  # fmt: skip
        wishes: list[FollowUp] = list(captures)
        if self._rng.random() < 0.4:
            wishes.append(self._cancel(payment))
        await asyncio.gather(*(self._soon(wish) for wish in wishes))
        if self._rng.random() < 0.5:
            await self._refunds(payment)

    async def _second_thoughts(self) -> None:
        method = self._rng.choice(list(CaptureMethod))
        command = self.command(capture_method=method)
        cancel = CancelPayment(
            merchant=command.merchant, key=self.key("cancel"), payment=command.payment, reason=""
        )

        async def cancel_soon() -> None:
            await asyncio.sleep(self._rng.uniform(0, 3))
            await self.follow(cancel)

        await asyncio.gather(self.create(command), cancel_soon())

    async def _payout(self) -> None:
        await self.create(self.command(direction=Direction.PAYOUT))

    async def _same_reference(self) -> None:
        first = self.command()
        second = replace(first, key=self.key("again"))
        await asyncio.gather(self.create(first), self.create(second))

    async def _wrong_key(self) -> None:
        first = self.command()
        other = replace(first, amount=Money(first.amount.minor + 1, "USD"))
        await asyncio.gather(self.create(first), self.create(other))

    async def _act(self, payment: Payment | None) -> Payment | None:
        """Come back from the bank's page, and say so."""
        if payment is None or payment.state is not PaymentState.ACTION_REQUIRED:
            return payment
        await asyncio.sleep(self._rng.uniform(1, 300))
        confirm = ConfirmPayment(
            merchant=payment.merchant, key=self.key("confirm"), payment=payment.name
        )
        return await self.follow(confirm) or payment

    async def _refunds(self, payment: Payment) -> None:
        await asyncio.sleep(self._rng.uniform(0, 20))
        parts = self._rng.randrange(1, 5)
        wishes = [
            RefundPayment(
                merchant=payment.merchant, key=self.key("refund"), payment=payment.name,
                amount=self._part(payment.amount.minor, parts), reason="asked for",
            )
            for _ in range(parts + self._rng.randrange(2))
        ]  # fmt: skip
        await asyncio.gather(*(self._soon(wish) for wish in wishes))

    async def _soon(self, wish: FollowUp) -> None:
        await asyncio.sleep(self._rng.uniform(0, 0.5))
        await self.follow(wish)

    def _cancel(self, payment: Payment) -> CancelPayment:
        return CancelPayment(
            merchant=payment.merchant, key=self.key("cancel"), payment=payment.name, reason=""
        )

    def _part(self, whole: int, parts: int) -> Money | None:
        if self._rng.random() < 0.1:
            return None
        return Money(max(whole // parts + self._rng.randrange(-3, 4), 1), "USD")

    async def _insist(self, flow: Callable[[World], Flow], wish: Any) -> Payment | None:
        """One wish, at times of several callers at once; each repeats it until it is answered."""
        callers = 1 + (self._rng.random() < 0.1) + (self._rng.random() < 0.05)
        tries = [self._repeat(flow, wish) for _ in range(callers)]
        answers = await asyncio.gather(*tries)
        return next((answer for answer in answers if answer is not None), None)

    async def _repeat(self, flow: Callable[[World], Flow], wish: Any) -> Payment | None:
        for number in range(TRIES_MAX):
            try:
                payment: Payment = await self._router.ask(
                    wish.method, lambda node: node.do(flow, wish),
                    timeout_s=self._rng.choice(self.timeouts_s), key=wish.key, caller=CALLER,
                )  # fmt: skip
            except grpc.aio.AioRpcError as error:
                info = error_info(error)
                self.refusals[info.reason if info else error.code().name] += 1
                if error.code() not in _AGAIN:
                    return None
                await asyncio.sleep(self._rng.uniform(0.1, 2.0) * (number + 1))
            else:
                self.answers[wish.merchant, wish.key].add(payment.name)
                return payment
        return None
