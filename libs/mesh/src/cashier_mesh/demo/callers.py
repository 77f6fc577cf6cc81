"""Sends the payments as many checkouts at once would, each under one key until it has an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import grpc
import grpc.aio

from cashier.payments.v1 import payment_pb2, payment_service_pb2, payment_service_pb2_grpc
from cashier_common.rpc.client import idempotency_key
from cashier_common.rpc.status import refusal_reason
from cashier_mesh.demo.tally import rests
from cashier_mesh.demo.wishes import Round, Send, Wish
from cashier_mesh.errors import MeshError

CALL_S = 20.0
TRIES_MAX = 6
RETRY_FIRST_S, RETRY_MAX_S = 0.1, 2.0
AT_ONCE = 5
CARD_NUMBER, OTHER_REQUEST = "CARD_NUMBER_REFUSED", "IDEMPOTENCY_KEY_REUSED"
MAY_BE_REFUSED = (CARD_NUMBER, OTHER_REQUEST)  # and these only where a row asks for it
# With one key, asking again is always right: the answer is what the first call made of it.
ASK_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


@dataclass(slots=True)
class Harvest:
    """What came back. `refused` has rows by reason; `broken` are promises that were not kept."""

    payments: dict[str, payment_pb2.Payment] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    repeated: int = 0
    """Further requests under a key that had been used."""
    answered: int = 0
    """Rows that went out."""

    def keep(self, payment: payment_pb2.Payment) -> None:
        """Take a payment as it stands now."""
        self.payments[payment.name] = payment

    def waiting(self) -> list[payment_pb2.Payment]:
        """Payments that something is still under way for."""
        return [payment for payment in self.payments.values() if not rests(payment)]


class Callers:
    """So many callers, one after the other taking the next row."""

    def __init__(self, channel: grpc.aio.Channel, this_round: Round, harvest: Harvest) -> None:
        self._stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
        self._round = this_round
        self._harvest = harvest

    async def send_all(
        self,
        wishes: Sequence[Wish],
        *,
        callers: int,
        before: Callable[[int], Awaitable[None]],
    ) -> None:
        """Send every row; `before` is awaited with a row's number before it goes out."""
        rows = _numbered(wishes, before)
        lock = asyncio.Lock()

        async def call_on() -> None:
            while True:
                async with lock:
                    wish = await anext(rows, None)
                if wish is None:
                    return
                await self._send(wish)

        await asyncio.gather(*(call_on() for _ in range(callers)))

    async def send(self, wish: Wish) -> payment_pb2.Payment | None:
        """Send one row once; the payment, or None when it was refused."""
        return await self._create(wish)

    async def look_again(self) -> int:
        """Ask for every payment that does not rest yet; answers how many still do not."""
        waiting = self._harvest.waiting()
        for start in range(0, len(waiting), AT_ONCE):
            await asyncio.gather(*(self._look(one) for one in waiting[start : start + AT_ONCE]))
        return len(self._harvest.waiting())

    async def _look(self, payment: payment_pb2.Payment) -> None:
        request = payment_service_pb2.GetPaymentRequest(
            merchant=payment.merchant, name=payment.name
        )
        self._harvest.keep(await self._stub.GetPayment(request, timeout=CALL_S))

    async def _send(self, wish: Wish) -> None:
        if any(_is_card_number(value) for value in wish.metadata.values()):
            await self._must_be_refused(wish, CARD_NUMBER)
            return
        at_once = AT_ONCE if wish.send is Send.AT_ONCE else 1
        answers = await asyncio.gather(*(self._create(wish) for _ in range(at_once)))
        if wish.send is Send.TWICE:
            answers.append(await self._create(wish))
        elif wish.send is Send.OTHER_AMOUNT:
            await self._must_be_refused(wish.dearer(), OTHER_REQUEST)
        self._harvest.repeated += len(answers) - 1
        names = {"nothing" if answer is None else answer.name for answer in answers}
        if len(names) > 1:
            self._harvest.broken.append(
                f"{wish.reference} was sent {len(answers)} times with one key and became "
                f"{', '.join(sorted(names))}"
            )

    async def _must_be_refused(self, wish: Wish, reason: str) -> None:
        await self._create(wish)
        if wish.reference not in self._harvest.refused.get(reason, []):
            self._harvest.broken.append(
                f"{wish.reference} ({wish.note}) had to be refused with {reason}, and was not"
            )

    async def _create(self, wish: Wish) -> payment_pb2.Payment | None:
        """Send one row under its key until there is an answer; None when it was refused."""
        request, pause_s = self._round.request(wish), RETRY_FIRST_S
        for last in (*(False,) * (TRIES_MAX - 1), True):
            try:
                with idempotency_key(self._round.key(wish)):
                    payment = await self._stub.CreatePayment(request, timeout=CALL_S)
            except grpc.aio.AioRpcError as error:
                if error.code() in ASK_AGAIN and not last:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, RETRY_MAX_S)
                    continue
                info = refusal_reason(error)
                if info is None or error.code() in ASK_AGAIN:
                    raise MeshError(
                        f"{wish.reference} got no answer ({error.code().name}: {error.details()}): "
                        "look into the logs of the router"
                    ) from None
                self._harvest.refused.setdefault(info.reason, []).append(wish.reference)
                if info.reason not in MAY_BE_REFUSED:
                    self._harvest.broken.append(
                        f"{wish.reference} ({wish.note}) was refused: {error.details()}"
                    )
                return None
            self._harvest.keep(payment)
            return payment
        return None


async def _numbered(
    wishes: Sequence[Wish], before: Callable[[int], Awaitable[None]]
) -> AsyncIterator[Wish]:
    for number, wish in enumerate(wishes):
        await before(number)
        yield wish


def _is_card_number(value: str) -> bool:
    """Whether a text holds so many digits as a card number: rows that have one must be refused."""
    return sum(letter.isdigit() for letter in value) >= 13  # noqa: PLR2004 - the shortest number
