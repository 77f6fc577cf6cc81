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
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cashier_common.errors import PeerUnavailable, RaceLost
from cashier_common.rpc import deadlines
from cashier_common.rpc.client import idempotency_key
from cashier_common.rpc.status import (
    error_info,
    is_nothing_happened,
    retry_after_s,
    status_of,
)
from cashier_common.telemetry import FollowOrDraw
from tests.contract.mesh_fixture import (
    CHECKOUT,
    KEY,
    OPERATOR,
    READER,
    STRANGER,
    a_mesh,
    a_parcel,
)
from tests.contract.parcels import SERVICE, grpc_stubs, pb

CARD = "4111 1111 1111 1111"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"


@pytest.fixture
async def mesh(tmp_path):
    async with a_mesh(tmp_path) as running:
        yield running


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


def told(error):
    info = error_info(error)
    return error.code(), info.reason, dict(info.metadata)


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


async def test_the_caller_is_the_certificate_and_never_the_metadata(mesh):
    claims = (("caller", OPERATOR), ("x-forwarded-client-cert", f"URI={OPERATOR}"))

    error = await refusal(mesh.stub(STRANGER).SendParcel(a_parcel(), metadata=claims))

    denied = (grpc.StatusCode.PERMISSION_DENIED, "CALLER_UNKNOWN", {"caller": STRANGER})
    assert denied == told(error)


@pytest.mark.parametrize("uris", [(), (CHECKOUT, OPERATOR)])
async def test_a_certificate_without_exactly_one_uri_is_nobody(mesh, uris):
    tls_stub = grpc_stubs.ParcelServiceStub(mesh.channel(*uris))

    error = await refusal(tls_stub.SendParcel(a_parcel()))

    assert "CALLER_UNKNOWN" == error_info(error).reason


async def test_no_certificate_means_no_connection(mesh):
    roots = mesh.certificates.authority.read_bytes()
    target = f"localhost:{mesh.port}"
    async with grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(roots)) as channel:
        error = await refusal(grpc_stubs.ParcelServiceStub(channel).SendParcel(a_parcel()))

    assert grpc.StatusCode.UNAVAILABLE is error.code()
    assert not is_nothing_happened(error)


async def test_a_method_outside_the_policy_is_denied_before_the_request_is_read(mesh):
    raw = mesh.channel(READER).unary_unary("/parcels.v1.ParcelService/SendParcel")

    error = await refusal(raw(b"\xff"))

    assert "METHOD_DENIED" == error_info(error).reason


async def test_another_merchant_is_denied_before_anything_is_looked_up(mesh):
    error = await refusal(mesh.stub().GetParcel(pb.GetParcelRequest(merchant="other", name="x")))

    assert (
        grpc.StatusCode.PERMISSION_DENIED,
        "MERCHANT_DENIED",
        {"caller": CHECKOUT, "merchant": "other"},
    ) == told(error)


async def test_leaving_the_merchant_out_asks_for_every_merchant(mesh):
    request = pb.GetParcelRequest(name="x")

    error = await refusal(mesh.stub().GetParcel(request))
    allowed = await refusal(mesh.stub(OPERATOR).GetParcel(request))

    assert "MERCHANT_DENIED" == error_info(error).reason
    assert "NOT_SERVED" == error_info(allowed).reason


async def test_a_later_message_cannot_change_to_a_merchant_that_is_not_allowed(mesh):
    async def parts():
        yield pb.ImportParcelsRequest(merchant="acme", line="one")
        yield pb.ImportParcelsRequest(line="two")
        yield pb.ImportParcelsRequest(merchant="other", line="three")

    error = await refusal(mesh.stub().ImportParcels(parts()))

    assert "MERCHANT_DENIED" == error_info(error).reason


async def test_a_method_that_nobody_wrote_is_not_served(mesh):
    error = await refusal(mesh.stub().GetParcel(pb.GetParcelRequest(merchant="acme")))

    assert (grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED") == told(error)[:2]


@pytest.mark.parametrize("key", ["short", "with a space in it", "x" * 129])
async def test_a_malformed_key_is_refused_and_nothing_runs(mesh, key):
    raw = mesh.channel(CHECKOUT).unary_unary("/parcels.v1.ParcelService/SendParcel")

    error = await refusal(raw(a_parcel().SerializeToString(), metadata=(("idempotency-key", key),)))

    assert "IDEMPOTENCY_KEY_MISSING" == error_info(error).reason
    assert [] == mesh.servicer.sent


async def test_a_key_is_required_where_the_contract_says_so(mesh):
    roots, tls = mesh.certificates.authority.read_bytes(), mesh.certificates.issue(CHECKOUT)
    credentials = grpc.ssl_channel_credentials(
        roots, tls.private_key.read_bytes(), tls.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(f"localhost:{mesh.port}", credentials) as channel:
        error = await refusal(grpc_stubs.ParcelServiceStub(channel).SendParcel(a_parcel()))

    assert "IDEMPOTENCY_KEY_MISSING" == error_info(error).reason


async def test_the_key_reaches_the_flow_and_a_replay_is_marked(mesh):
    with idempotency_key(KEY):
        call = mesh.stub().SendParcel(a_parcel(note="again"))
        await call

    assert KEY == mesh.servicer.calls[0].idempotency_key
    assert "true" == dict(await call.trailing_metadata())["idempotent-replayed"]


@pytest.mark.parametrize(
    ("request_changes", "metadata"),
    [
        ({"note": f"card {CARD}"}, ()),
        ({"labels": {"a": "４１１１１１１１１１１１１１１１"}}, ()),
        ({"labels": {"4111-1111-1111-1111": "a"}}, ()),
        ({"tags": ["fine", "5555.5555.5555.4444"]}, ()),
        ({"address": pb.Address(street="s", forward=pb.Address(street=CARD))}, ()),
        ({"merchant": "4111111111111111"}, ()),
        ({"recipient": CARD}, ()),
        ({}, (("x-note", CARD),)),
        ({}, (("idempotency-key", "4111111111111111"),)),
        ({}, (("user-agent-extra", "378282246310005"),)),
    ],
)
async def test_a_card_number_is_refused_and_appears_nowhere(
    tmp_path, capfd, request_changes, metadata
):
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with a_mesh(tmp_path, tracer_provider=provider) as mesh:
        request = a_parcel(**request_changes)
        error = await refusal(mesh.stub(OPERATOR).SendParcel(request, metadata=metadata))

        said = "".join(
            (
                str(error.details()),
                str(error.trailing_metadata()),
                b"".join(mesh.log.lines).decode(),
                "".join(span.to_json() for span in spans.get_finished_spans()),
                *capfd.readouterr(),
            )
        )
    assert "CARD_NUMBER_REFUSED" == error_info(error).reason
    assert [] == mesh.servicer.sent
    assert all(
        digits not in said.replace(" ", "").replace("-", "").replace(".", "")
        for digits in ("411111111", "555555555", "37828224", "４１１１")
    )


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


async def test_a_trace_that_the_caller_does_not_record_keeps_its_id_and_costs_no_span(tmp_path):
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with a_mesh(tmp_path, tracer_provider=provider) as mesh:
        raw = mesh.channel(CHECKOUT)._plain.unary_unary("/parcels.v1.ParcelService/SendParcel")
        for flag in "01":
            metadata = (("idempotency-key", KEY), ("traceparent", PARENT + flag))
            answer = pb.Parcel.FromString(
                await raw(a_parcel().SerializeToString(), metadata=metadata)
            )
            assert answer.text.startswith(PARENT[:36])

    assert 1 == len(spans.get_finished_spans())
    span = spans.get_finished_spans()[0]
    assert "/parcels.v1.ParcelService/SendParcel" == span.name
    assert 0x00F067AA0BA902B7 == span.parent.span_id
    lines = [orjson.loads(line)["trace_id"] for line in mesh.log.lines]
    assert ["4bf92f3577b34da6a3ce929d0e0e4736"] * 2 == lines


async def test_of_new_traces_the_drawn_share_is_recorded_and_each_has_an_id(tmp_path):
    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=FollowOrDraw(0.5))
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with a_mesh(tmp_path, tracer_provider=provider) as mesh:
        stub = mesh.stub()
        for _ in range(100):
            await stub.SendParcel(a_parcel())

    traces = {orjson.loads(line)["trace_id"] for line in mesh.log.lines}
    recorded = {f"{span.context.trace_id:032x}" for span in spans.get_finished_spans()}
    assert 100 == len(traces)
    assert 20 < len(recorded) < 80
    assert recorded < traces


async def test_a_refused_call_is_seen_by_its_span(tmp_path):
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with a_mesh(tmp_path, tracer_provider=provider) as mesh:
        mesh.servicer.raises = ValueError("password=hunter2")
        await refusal(mesh.stub().SendParcel(a_parcel()))
        await refusal(mesh.stub().SendParcel(a_parcel(merchant="")))

    codes = [span.attributes["rpc.grpc.status_code"] for span in spans.get_finished_spans()]
    assert [13, 3] == codes
    assert not any("hunter2" in span.to_json() for span in spans.get_finished_spans())
