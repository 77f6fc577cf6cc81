"""What customers and merchants do: a story per payment, each told by the seed and its number."""

import asyncio
import random
from typing import Any

from cashier.payments.v1 import payment_pb2
from tests.chaos.callers import Callers
from tests.chaos.ground import ACCOUNTS, CLOSE_KEYS, KEEP_500
from tests.support.mesh_client import Payment, a_payment, a_payout

TOKENS = {
    "tok_ok": 42, "tok_lost_answer": 8, "tok_500_after": 5, "tok_500_before": 4,
    "tok_500_before_1": 3, "tok_held_2": 4, "tok_held_4": 5, "tok_slow_600": 4, "tok_slow_1500": 4,
    "tok_decline_soft": 7, "tok_decline_hard": 3, "tok_rate_limited_1": 2, "tok_unavailable": 3,
    "tok_pending_2": 4, "tok_pending_decline_2": 2,
}  # fmt: skip
SECOND_TOKENS = {"tok_ok": 60, "tok_lost_answer": 10, "tok_held_2": 5, "": 25}
UNANSWERED = frozenset({"tok_500_before", "tok_unavailable"})
# Where a payment goes first; the second account is for what finds no way there.
FIRST = {"sandbox-us": 50, "sandbox-stripe": 20, "sandbox-adyen": 30}
STORIES = {"buy": 45, "reserve": 35, "payout": 15, "regret": 5}
DOLLAR = 100


class Story:
    """One payment from its wish to its end; the same number tells the same story again."""

    def __init__(self, seed: int, number: int, callers: Callers) -> None:
        self._chance = random.Random(f"story {seed} {number}")
        self._key = f"chaos-{seed}-{number:06d}"
        self._callers = callers
        self._wishes = 0

    async def tell(self) -> None:
        """Every call is repeated until it is answered, so this ends when all is said."""
        kind, first = self._pick(STORIES), self._pick(FIRST)
        minor = self._chance.randrange(5, 200) * DOLLAR
        second = self._pick(SECOND_TOKENS)
        wanted: dict[str, Any] = {"minor": minor, "reference": self._key}
        token = self._pick(TOKENS)
        never = first not in CLOSE_KEYS and token in UNANSWERED
        wanted |= {"token": "tok_ok" if never or (first in KEEP_500 and "500" in token) else token}
        wanted |= {ACCOUNTS[1].replace("-", "_"): second} if second else {}
        if kind == "payout":
            await self._pay(a_payout(ACCOUNTS[0], **wanted), payout=True)
        elif kind == "buy":
            paid = await self._pay(a_payment(first, **wanted))
            if paid and paid.captured_amount.minor and self._chance.random() < 0.5:
                await self._refunds(paid)
        elif kind == "regret":
            request = a_payment(first, **wanted)
            async with asyncio.TaskGroup() as group:
                paying = group.create_task(self._pay(request))
                group.create_task(self._regrets(request))
            paid = paying.result()
            if paid:
                await self._do("CancelPayment", paid, reason="the customer thought again")
        else:
            await self._reserve(a_payment(first, manual=True, **wanted))

    async def _reserve(self, request: Any) -> None:
        held = await self._pay(request)
        if held is None or held.state != payment_pb2.Payment.STATE_AUTHORIZED:
            return
        end = self._chance.choice(("parts", "parts", "all", "cancel", "part and cancel"))
        if end == "all":
            await self._do("CapturePayment", held)
        elif end == "parts":
            parts = self._parts(held.authorized_amount.minor)
            await self._together("CapturePayment", held, parts[:-1])
            await self._do("CapturePayment", held, minor=parts[-1], final=True)
        elif end == "part and cancel":
            parts = self._parts(held.authorized_amount.minor)
            await self._do("CapturePayment", held, minor=parts[0])
        if "cancel" in end:
            await self._do("CancelPayment", held, reason="sold out")
        taken = await self._callers.rested(held.name)
        if taken.captured_amount.minor and self._chance.random() < 0.5:
            await self._refunds(taken)

    async def _refunds(self, paid: Payment) -> None:
        """In parallel and, now and then, more than there is."""
        parts = self._parts(paid.captured_amount.minor)
        if self._chance.random() < 0.3:
            parts.append(parts[0] + 1)
        await self._together("RefundPayment", paid, parts)

    async def _regrets(self, request: Any) -> None:
        """A second buyer of the same basket: one merchant reference is one payment."""
        await asyncio.sleep(self._chance.uniform(0.0, 0.3))
        await self._pay(request)

    async def _pay(self, request: Any, *, payout: bool = False) -> Payment | None:
        return await self._callers.pay(request, self._next_key(), self._chance, payout=payout)

    async def _together(self, method: str, payment: Payment, parts: list[int]) -> None:
        await asyncio.gather(*(self._do(method, payment, minor=part) for part in parts))

    async def _do(self, method: str, payment: Payment, **wanted: Any) -> None:
        key = self._next_key()
        await self._callers.follow(method, payment, key, self._chance, **wanted)

    def _parts(self, whole: int) -> list[int]:
        """Two to four different amounts that together are the whole."""
        cuts = sorted(self._chance.sample(range(1, whole), self._chance.randrange(1, 4)))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, whole], strict=True)]
        return parts if len(set(parts)) == len(parts) else [whole - 1, 1]

    def _next_key(self) -> str:
        self._wishes += 1
        return f"{self._key}-{self._wishes}"

    def _pick(self, weighted: dict[str, int]) -> str:
        return self._chance.choices(list(weighted), list(weighted.values()))[0]
