"""What every server of the mesh does with a call, whatever service it serves."""

import asyncio

import grpc
import grpc.aio
import orjson
import pytest
from google.rpc import error_details_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cashier_common.errors import PeerUnavailable, RaceLost
from cashier_common.rpc.status import error_info, is_nothing_happened, retry_after_s, status_of
from tests.contract.mesh_fixture import CHECKOUT, STRANGER, a_mesh, a_parcel
from tests.contract.parcels import SERVICE, pb
from tests.support.parcel_mesh import mesh, refusal, told

__all__ = ["mesh"]


async def test_a_call_is_served_and_its_line_names_who_called_what_for_whom(mesh):
    call = mesh.stub().SendParcel(a_parcel())

    await call

    trailing = dict(await call.trailing_metadata())
    line = orjson.loads(mesh.log.lines[0])
    assert ("/parcels.v1.ParcelService/SendParcel", CHECKOUT, "acme", "OK", "") == tuple(
        line[name] for name in ("method", "caller", "merchant", "code", "reason")
    )
    assert trailing["trace-id"] == line["trace_id"]
    assert 32 == len(line["trace_id"])
    assert line["duration_ms"] > 0


async def test_bytes_that_are_no_message_are_the_callers_fault(mesh):
    raw = mesh.channel(CHECKOUT).unary_unary("/parcels.v1.ParcelService/SendParcel")

    error = await refusal(raw(b"\x0a\x02\xff\xfe"))

    assert (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_UNDECODABLE",
        {"message": "parcels.v1.SendParcelRequest"},
    ) == told(error)


async def test_a_bad_message_in_a_stream_is_the_callers_fault(mesh):
    raw = mesh.channel(CHECKOUT).stream_unary("/parcels.v1.ParcelService/ImportParcels")

    async def parts():
        yield pb.ImportParcelsRequest(merchant="acme", line="one").SerializeToString()
        yield b"\xff\xff\xff"

    error = await refusal(raw(parts()))

    assert "REQUEST_UNDECODABLE" == error_info(error).reason


async def test_a_status_has_exactly_one_error_info_of_the_servers_domain(mesh):
    error = await refusal(mesh.stub().SendParcel(a_parcel(merchant="")))

    details = list(status_of(error).details)
    assert ["parcels.cashier"] == [error_info(error).domain]
    assert 1 == sum(detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR) for detail in details)
    assert "merchant is required: set it and send the request again" == error.details()


async def test_a_method_that_nobody_wrote_is_not_served(mesh):
    error = await refusal(mesh.stub().GetParcel(pb.GetParcelRequest(merchant="acme")))

    assert (grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED") == told(error)[:2]


async def test_a_refusal_says_when_to_come_back(mesh):
    mesh.servicer.raises = PeerUnavailable(peer="risk")

    error = await refusal(mesh.stub().SendParcel(a_parcel()))

    assert (grpc.StatusCode.UNAVAILABLE, "PEER_UNAVAILABLE", {"peer": "risk"}) == told(error)
    assert is_nothing_happened(error)
    assert 1.0 == retry_after_s(error)


async def test_a_refusal_from_a_group_of_tasks_is_still_that_refusal(mesh):
    mesh.servicer.raises = ExceptionGroup("tasks", [RaceLost(name="payments/pay_1")])

    error = await refusal(mesh.stub().SendParcel(a_parcel()))

    assert (grpc.StatusCode.ABORTED, "RACE_LOST") == told(error)[:2]


async def test_a_fault_of_ours_tells_the_caller_nothing_but_the_trace(tmp_path, mesh):
    mesh.servicer.raises = ValueError("password=hunter2 at /srv/router.py")

    error = await refusal(mesh.stub().SendParcel(a_parcel()))

    assert (grpc.StatusCode.INTERNAL, "INTERNAL", {}) == told(error)
    assert "hunter2" not in str(error.details()) + str(error.trailing_metadata())
    assert 32 == len(dict(error.trailing_metadata())["trace-id"])


async def test_a_late_refusal_ends_a_stream_with_its_status(mesh):
    mesh.servicer.raises = RaceLost(name="parcels/1")
    answers = []

    async def watch():
        async for answer in mesh.stub().WatchParcel(pb.GetParcelRequest(merchant="acme")):
            answers.append(answer.text)  # noqa: PERF401 - the answers before the error count

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await watch()

    assert ["0", "1", "2"] == answers
    assert "RACE_LOST" == error_info(raised.value).reason
    assert "RACE_LOST" == orjson.loads(mesh.log.lines[0])["reason"]


async def test_health_follows_readiness_and_every_certificate_may_ask(tmp_path, monkeypatch):
    monkeypatch.setattr("cashier_common.rpc.server.READINESS_PERIOD_S", 0.05)
    fault: list[Exception] = []

    async def readiness():
        for error in fault:
            raise error

    async with a_mesh(tmp_path, readiness=readiness) as mesh:
        health = health_pb2_grpc.HealthStub(mesh.channel(STRANGER))

        async def becomes(status, service):
            async with asyncio.timeout(5):
                while True:
                    answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
                    if answer.status == status:
                        return
                    await asyncio.sleep(0.02)

        for service in ("", SERVICE):
            await becomes(health_pb2.HealthCheckResponse.SERVING, service)
        fault.append(ConnectionError("the database is away"))
        for service in ("", SERVICE):
            await becomes(health_pb2.HealthCheckResponse.NOT_SERVING, service)
        fault.clear()
        await becomes(health_pb2.HealthCheckResponse.SERVING, "")


async def test_reflection_and_channelz_answer_every_certificate(mesh):
    channel = mesh.channel(STRANGER)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")

    stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
    listed = await anext(aiter(stream))
    servers = await channelz_pb2_grpc.ChannelzStub(channel).GetServers(
        channelz_pb2.GetServersRequest()
    )

    assert SERVICE in {service.name for service in listed.list_services_response.service}
    assert servers.server
