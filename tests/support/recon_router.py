"""A router of which only the event stream exists: a real gRPC server of what a test wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio

from cashier.payments.v1 import payment_admin_service_pb2 as admin
from cashier.payments.v1 import payment_admin_service_pb2_grpc as admin_grpc
from cashier.payments.v1 import payment_pb2

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
Operation, Payment = payment_pb2.Operation, payment_pb2.Payment


class FakeRouter(admin_grpc.PaymentAdminServiceServicer):
    """Serves `shards[shard]` behind the asked position, and what is appended meanwhile."""

    def __init__(self) -> None:
        self.shards: dict[int, list[admin.PaymentEvent]] = {shard: [] for shard in range(4)}
        self.refuse_with: grpc.StatusCode | None = None
        self.cut_after: Callable[[], int] | None = None
        self.port = 0
        self._server: grpc.aio.Server | None = None

    async def start(self) -> str:
        """Serve on a free port, or on the one of the last start."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        admin_grpc.add_PaymentAdminServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()
        return f"127.0.0.1:{self.port}"

    async def kill(self) -> None:
        """Cut every stream."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def StreamPaymentEvents(
        self, request: admin.StreamPaymentEventsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[admin.PaymentEvent]:
        if self.refuse_with is not None:
            await context.abort(self.refuse_with, "not now")
        left = self.cut_after() if self.cut_after else -1
        place = 0
        while True:
            events = self.shards[request.shard]
            while place < len(events):
                event = events[place]
                place += 1
                if event.step.position > request.after_position:
                    if left == 0:
                        await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
                    left -= 1
                    yield event
            await asyncio.sleep(0.02)

    def append(self, shard: int, events: Sequence[admin.PaymentEvent]) -> None:
        """Give the events the next positions of a shard."""
        for event in events:
            event.step.shard = shard
            event.step.position = len(self.shards[shard]) + 1
            at = START + timedelta(seconds=event.step.position)
            event.step.record_time.FromDatetime(at)
            self.shards[shard].append(event)


def event_of(
    number: int,
    state: int,
    *,
    kind: int = Operation.KIND_AUTHORIZE,
    operation: int = 1,
    amount: int = 1_000,
    asset: str = "EUR",
    account: str = "sandbox-eu",
    merchant: str = "shop",
    reference: str | None = None,
    rail: str = "gateway",
    fee: int | None = 29,
    manual: bool = False,
    pays_out: bool = False,
    due: datetime = START + timedelta(days=2),
) -> admin.PaymentEvent:
    """A step of `payments/pay_<number>`, whose processor calls it `ch_<number>_<operation>`."""
    payment = f"payments/pay_{number:05d}"
    event = admin.PaymentEvent()
    event.step.merchant = merchant
    event.step.subject = payment
    event.step.version = 1
    event.step.traceparent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    event.payment.name = payment
    event.payment.merchant = merchant
    event.payment.direction = Payment.DIRECTION_PAYOUT if pays_out else Payment.DIRECTION_PAYMENT
    event.payment.capture_method = (
        payment_pb2.CAPTURE_METHOD_MANUAL if manual else payment_pb2.CAPTURE_METHOD_AUTOMATIC
    )
    event.operation.name = f"{payment}/operations/{operation}"
    event.operation.kind = Operation.Kind.ValueType(kind)
    event.operation.state = Operation.State.ValueType(state)
    event.operation.rail = rail
    event.operation.processor_account = account
    event.operation.processor_reference = (
        f"ch_{number:05d}_{operation}" if reference is None else reference
    )
    event.operation.amount.minor = amount
    event.operation.amount.asset_code = asset
    if fee is not None and state in {Operation.STATE_SUCCEEDED, Operation.STATE_PENDING}:
        event.settlement_terms.fee_schedule_version = "2026-01"
        event.settlement_terms.expected_fee_minor = fee
        event.settlement_terms.due_time.FromDatetime(due)
    return event


def plain_step(number: int) -> admin.PaymentEvent:
    """A step that was about no operation."""
    event = admin.PaymentEvent()
    event.step.subject = f"payments/pay_{number:05d}"
    event.payment.name = event.step.subject
    return event
