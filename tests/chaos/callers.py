"""Callers as they are in life: they repeat, hurry, hang up, and never change their key."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
import grpc.aio

from cashier.common.v1 import money_pb2
from cashier.payments.v1 import payment_pb2, payment_service_pb2, payment_service_pb2_grpc
from cashier_common.rpc.client import connect
from cashier_common.rpc.status import refusal_reason
from cashier_common.settings import Tls
from cashier_mesh.supervisor import Mesh
from tests.support.mesh_client import MERCHANT, Payment

PATIENT_S = 4.0
PAUSE_S = 0.25
GIVE_UP_S = 150.0  # a caller that gets no answer for so long has found a bug
REFUSED = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


@dataclass(frozen=True)
class Wish:
    """One request under one key, and every payment that it was answered with."""

    method: str
    payment: str  # empty for what creates one
    minor: int  # 0: all that is left


@dataclass
class Memory:
    """What callers asked and what they were told, for the checks afterwards."""

    wishes: dict[str, Wish] = field(default_factory=dict)
    told: dict[str, list[Payment]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # reason by key
    trouble: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)  # our own, which no failure excuses


class Callers:
    """A channel to each router; every call is made with its key until it is answered."""

    def __init__(self, mesh: Mesh, memory: Memory) -> None:
        files = mesh.credentials("checkout")
        self._tls = Tls(files.certificate, files.private_key, files.authority)
        self._targets = mesh.targets["router"].split(",")
        self.memory = memory

    async def __aenter__(self) -> Self:
        self._channels = [connect(target, self._tls) for target in self._targets]
        make = payment_service_pb2_grpc.PaymentServiceStub
        self._stubs: list[Any] = [make(channel) for channel in self._channels]
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    async def pay(
        self, request: Any, key: str, chance: random.Random, *, payout: bool = False
    ) -> Payment | None:
        """The payment that the wish became, at rest; None when it was refused."""
        method = "CreatePayout" if payout else "CreatePayment"
        answer = await self.ask(
            method, request, key, Wish(method, "", request.amount.minor), chance
        )
        return await self.rested(answer.name) if answer else None

    async def follow(
        self, method: str, payment: Payment, key: str, chance: random.Random, *,
        minor: int = 0, **fields: Any,
    ) -> Payment | None:  # fmt: skip
        """Capture, cancel or refund."""
        kind = getattr(payment_service_pb2, f"{method}Request")
        request = kind(merchant=payment.merchant, name=payment.name, **fields)
        if minor:
            money = money_pb2.Money(minor=minor, asset_code=payment.amount.asset_code)
            request.amount.CopyFrom(money)
        return await self.ask(method, request, key, Wish(method, payment.name, minor), chance)

    async def ask(
        self, method: str, request: Any, key: str, wish: Wish, chance: random.Random
    ) -> Payment | None:
        """In one of the ways in which callers call; the answer that the last of them gets."""
        self.memory.wishes[key] = wish
        match chance.choices(("plain", "twice", "hurried", "hangs_up"), (50, 15, 20, 15))[0]:
            case "twice":
                calls = (self._insist(method, request, key, first) for first in (0, 1, 0))
                answers = await asyncio.gather(*calls)
                return answers[0]
            case "hurried":
                await self._once(method, request, key, 0, timeout_s=chance.uniform(0.02, 0.6))
            case "hangs_up":
                call = self._call(method, request, key, 1, PATIENT_S)
                await asyncio.sleep(chance.uniform(0.0, 0.2))
                call.cancel()
        return await self._insist(method, request, key, chance.randrange(2))

    async def rested(self, name: str) -> Payment:
        """The payment once it is not under way any more."""
        found: Payment | None = None
        latest = time.monotonic() + GIVE_UP_S
        turn = 0
        while time.monotonic() < latest:
            turn += 1
            request = payment_service_pb2.GetPaymentRequest(merchant=MERCHANT, name=name)
            try:
                found = await self._stubs[turn % 2].GetPayment(request, timeout=PATIENT_S)
            except grpc.aio.AioRpcError as error:
                self._note("GetPayment", error)
            else:
                if found.state != payment_pb2.Payment.STATE_PROCESSING:
                    return found
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"{name} is still under way: {found}")

    async def _insist(self, method: str, request: Any, key: str, first: int) -> Payment | None:
        async with asyncio.timeout(GIVE_UP_S):
            turn = first
            while True:
                answer = await self._once(method, request, key, turn, timeout_s=PATIENT_S)
                if answer is not None or key in self.memory.refused:
                    return answer
                turn += 1
                await asyncio.sleep(PAUSE_S)

    async def _once(
        self, method: str, request: Any, key: str, turn: int, *, timeout_s: float
    ) -> Payment | None:
        try:
            answer: Payment = await self._call(method, request, key, turn, timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() in REFUSED:
                info = refusal_reason(error)
                self.memory.refused[key] = info.reason if info else str(error.details())
            else:
                self._note(method, error)
            return None
        self.memory.told.setdefault(key, []).append(answer)
        return answer

    def _call(self, method: str, request: Any, key: str, turn: int, timeout_s: float) -> Any:
        stub = self._stubs[turn % len(self._stubs)]
        metadata = (("idempotency-key", key),)
        return getattr(stub, method)(request, timeout=timeout_s, metadata=metadata)

    def _note(self, method: str, error: grpc.aio.AioRpcError) -> None:
        info = refusal_reason(error)
        self.memory.trouble[f"{error.code().name} {info.reason if info else ''}".strip()] += 1
        ours = info is not None and error.code() is grpc.StatusCode.INTERNAL
        if ours or error.code() is grpc.StatusCode.UNKNOWN:
            self.memory.faults.append(f"{method}: {error.code().name} {error.details()}")
