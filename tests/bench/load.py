"""Closed-loop load: N callers in a process of their own, each pays again as soon as it is answered.

`python -m tests.bench.load` reads one job as JSON on standard input and prints its result as JSON.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import uvloop

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.payments.v1 import payment_pb2, payment_service_pb2, payment_service_pb2_grpc
from cashier_common.rpc.client import connect, idempotency_key
from cashier_common.settings import Tls
from tests.bench.floor import stubs

WARM_UP = 64
CALL_S = 30.0

Pay = Callable[[], Awaitable[bool]]


async def measured(pay: Pay, callers: int, payments: int) -> dict[str, Any]:
    """Throughput and latency of `payments` payments by `callers` callers."""
    await asyncio.gather(*(pay() for _ in range(min(WARM_UP, 4 * callers))))
    latencies_s: list[float] = []
    failed = 0

    async def caller(count: int) -> None:
        nonlocal failed
        for _ in range(count):
            began = time.perf_counter()
            failed += not await pay()
            latencies_s.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller(payments // callers) for _ in range(callers)))
    took_s = time.perf_counter() - began
    latencies_s.sort()
    return {
        "payments": len(latencies_s),
        "failed": failed,
        "per_second": len(latencies_s) / took_s,
        "p50_ms": latencies_s[len(latencies_s) // 2] * 1e3,
        "p99_ms": latencies_s[int(len(latencies_s) * 0.99)] * 1e3,
    }


def mesh_payment(channel: grpc.aio.Channel) -> Pay:
    """One card payment of 10.00 USD through the whole mesh."""
    stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
    run = uuid.uuid4().hex

    async def pay() -> bool:
        number = uuid.uuid4().hex
        request = payment_service_pb2.CreatePaymentRequest(
            merchant="acme-games",
            merchant_reference=f"bench-{run}-{number}",
            amount=money_pb2.Money(minor=1_000, asset_code="USD"),
            instrument=instrument_pb2.Instrument(
                method=instrument_pb2.PAYMENT_METHOD_CARD, fingerprint=number, brand="visa",
                issuer_country="US",
                tokens=[
                    instrument_pb2.InstrumentToken(
                        scope=instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT,
                        processor_account="sandbox-us", token="tok_ok",
                    )
                ],
            ),
            metadata={"a": "b"},
        )  # fmt: skip
        request.customer.country = "US"
        request.customer.customer_id = number
        request.device.fingerprint = number
        with idempotency_key(f"bench-{number}"):
            payment = await stub.CreatePayment(request, timeout=CALL_S)
        return bool(payment.state == payment_pb2.Payment.STATE_SUCCEEDED)

    return pay


def floor_payment(channel: grpc.aio.Channel, folder: Path) -> Pay:
    """One payment through the floor."""
    messages, api = stubs(folder)
    stub = api.HopStub(channel)

    async def pay() -> bool:
        charge = messages.Charge(
            id=str(uuid.uuid4()), amount=1_000, currency="USD", metadata={"a": "b"}
        )
        await stub.Do(charge, timeout=CALL_S)
        return True

    return pay


async def main(job: dict[str, Any]) -> None:
    if job["kind"] == "floor":
        async with grpc.aio.insecure_channel(job["target"]) as channel:
            pay = floor_payment(channel, Path(job["folder"]))
            result = await measured(pay, job["callers"], job["payments"])
    else:
        tls = Tls(*(Path(path) for path in job["tls"]))
        channel = connect(job["target"], tls)
        result = await measured(mesh_payment(channel), job["callers"], job["payments"])
        await channel.close()
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main(json.load(sys.stdin)))
