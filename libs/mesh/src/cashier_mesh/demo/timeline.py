"""Reads the router's audit record for one payment, as an operator may."""

import asyncio
from collections.abc import Mapping

import grpc
import grpc.aio

from cashier.payments.v1 import payment_admin_service_pb2, payment_admin_service_pb2_grpc

STREAM_S = 5.0  # the record up to a known position is read long before
Event = payment_admin_service_pb2.PaymentEvent


async def events_of(
    payment: str,
    channel: grpc.aio.Channel,
    *,
    after: Mapping[int, int],
    until: Mapping[int, int],
) -> list[Event]:
    """The sealed steps of a payment between two positions per shard, in order."""
    stub = payment_admin_service_pb2_grpc.PaymentAdminServiceStub(channel)
    found = await asyncio.gather(
        *(
            _of_shard(stub, payment, shard, after.get(shard, 0), last)
            for shard, last in until.items()
        )
    )
    return [event for events in found for event in events]


async def _of_shard(
    stub: "payment_admin_service_pb2_grpc.PaymentAdminServiceAsyncStub",  # exists for checks alone
    payment: str,
    shard: int,
    after: int,
    last: int,
) -> list[Event]:
    if last <= after:
        return []
    request = payment_admin_service_pb2.StreamPaymentEventsRequest(
        shard=shard, after_position=after
    )
    call = stub.StreamPaymentEvents(request, timeout=STREAM_S)
    found = []
    try:
        async for event in call:
            if event.step.subject == payment:
                found.append(event)
            if event.step.position >= last:
                break
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
    finally:
        call.cancel()
    return found
