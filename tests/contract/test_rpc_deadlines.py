"""A call ends in its time, when its caller hangs up, or at once when there are too many."""

import asyncio

import grpc
import grpc.aio
import orjson

from cashier_common.rpc import deadlines
from cashier_common.rpc.status import error_info
from tests.contract.mesh_fixture import CHECKOUT, KEY, a_parcel
from tests.contract.parcels import pb
from tests.support.parcel_mesh import mesh, refusal, told

__all__ = ["mesh"]


async def test_a_call_without_a_deadline_gets_the_default(mesh, monkeypatch):
    monkeypatch.setattr(deadlines, "UNARY_DEFAULT_S", 0.2)
    mesh.servicer.sleeps_s = 5
    raw = mesh.channel(CHECKOUT)._plain.unary_unary("/parcels.v1.ParcelService/SendParcel")

    call = raw(a_parcel().SerializeToString(), metadata=(("idempotency-key", KEY),))
    error = await refusal(call)

    assert (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED") == told(error)[:2]


async def test_a_deadline_over_the_most_is_clamped(mesh):
    await mesh.stub().SendParcel(a_parcel(), timeout=3_600)

    assert 59 < mesh.servicer.calls[0].deadline.remaining_s() <= 60


async def test_a_stream_that_outlives_its_time_ends_with_a_reason(mesh, monkeypatch):
    monkeypatch.setattr(deadlines, "STREAM_MAX_S", 0.2)
    mesh.servicer.sleeps_s = 5

    async def watch():
        async for _ in mesh.stub().WatchParcel(pb.GetParcelRequest(merchant="acme")):
            pass

    error = await refusal(watch())

    assert "DEADLINE_EXCEEDED" == error_info(error).reason


async def test_a_caller_that_hangs_up_leaves_a_line(mesh):
    mesh.servicer.sleeps_s = 5
    call = mesh.stub().SendParcel(a_parcel())
    while not mesh.servicer.sent:  # noqa: ASYNC110 - the other side sets no event
        await asyncio.sleep(0.01)

    call.cancel()
    while not mesh.log.lines:  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.01)

    assert "CANCELLED" == orjson.loads(mesh.log.lines[0])["code"]


async def test_too_many_calls_are_told_so_at_once(mesh, monkeypatch):
    monkeypatch.setattr("cashier_common.rpc.run.CONCURRENT_CALLS_MAX", 1)
    mesh.servicer.sleeps_s = 5
    stub = mesh.stub()
    first = stub.SendParcel(a_parcel())
    while not mesh.servicer.sent:  # noqa: ASYNC110 - the other side sets no event
        await asyncio.sleep(0.01)

    error = await refusal(stub.SendParcel(a_parcel()))
    first.cancel()

    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED") == told(error)[:2]
