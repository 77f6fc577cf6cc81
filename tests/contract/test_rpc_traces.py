"""Every call has a trace; what its caller or the draw decided is recorded, and no more."""

import orjson
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cashier_common.telemetry import FollowOrDraw
from tests.contract.mesh_fixture import CHECKOUT, KEY, a_mesh, a_parcel
from tests.contract.parcels import pb
from tests.support.parcel_mesh import refusal

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"


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
