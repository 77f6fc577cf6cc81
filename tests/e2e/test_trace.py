"""One trace tells the whole story of a payment, and its id finds every line about it."""

import json
import re
import secrets
import time

import asyncpg
import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cashier.payments.v1 import payment_service_pb2_grpc
from cashier_common.rpc.client import connect_sync
from cashier_mesh.databases import database_of
from tests.support.whole_mesh import CALL_S, a_key, a_payment, eventually, tls_of

CREATE = "/cashier.payments.v1.PaymentService/CreatePayment"
ASSESS = "/cashier.risk.v1.RiskService/Assess"
AUTHORIZE = "/cashier.gateway.v1.GatewayService/Authorize"
PROCESSOR = "sandbox POST"
SEALED_AND_POSTED_WITHIN_S = 20.0


def spans_of(mesh, trace_id):
    """Every span of a trace that any process has written, by its own id."""
    spans = {}
    for path in mesh.traces.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if trace_id in line:
                span = json.loads(line)
                if span["context"]["trace_id"] == f"0x{trace_id}":
                    spans[span["context"]["span_id"]] = span
    return spans


def told(span):
    return (
        span["resource"]["attributes"]["service.name"],
        span["name"],
        span["kind"].removeprefix("SpanKind."),
    )


def lines_of(mesh, trace_id, log):
    lines = (mesh.logs / f"{log}.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if trace_id in line]


WHOLE = {
    ("router", CREATE, "SERVER"),
    ("router", ASSESS, "CLIENT"),
    ("risk", ASSESS, "SERVER"),
    ("router", AUTHORIZE, "CLIENT"),
    ("gateway", AUTHORIZE, "SERVER"),
    ("gateway", PROCESSOR, "CLIENT"),
}


def whole_story(mesh, trace_id):
    """The spans once all of them are there: processes export once a second."""

    def look():
        spans = spans_of(mesh, trace_id)
        return spans if {told(span) for span in spans.values()} >= WHOLE else None

    return eventually(look)


@pytest.fixture(scope="module")
def story(whole_mesh):
    """A payment whose caller records spans too: its trace id, the caller's span and all others."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tls = tls_of(whole_mesh.mesh.credentials("checkout"))
    target = whole_mesh.targets["router"]
    with connect_sync(target, tls, tracer_provider=provider) as channel:
        stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
        payment, call = stub.CreatePayment.with_call(
            a_payment(), timeout=CALL_S, metadata=[("idempotency-key", a_key())]
        )
    trace_id = dict(call.trailing_metadata())["trace-id"]
    (caller,) = exporter.get_finished_spans()
    return payment, trace_id, caller, whole_story(whole_mesh.mesh, trace_id)


def test_one_trace_holds_every_span_from_the_caller_to_the_processor(story):
    _, trace_id, caller, spans = story

    assert f"{caller.context.trace_id:032x}" == trace_id
    assert sorted(WHOLE) == sorted(told(span) for span in spans.values())  # each of them once


def test_every_span_hangs_on_the_one_that_caused_it(story):
    _, _, caller, spans = story
    ids = {told(span): span["context"]["span_id"] for span in spans.values()}
    parents = {told(span): span["parent_id"] for span in spans.values()}

    assert {
        ("router", CREATE, "SERVER"): f"0x{caller.context.span_id:016x}",
        ("router", ASSESS, "CLIENT"): ids["router", CREATE, "SERVER"],
        ("risk", ASSESS, "SERVER"): ids["router", ASSESS, "CLIENT"],
        ("router", AUTHORIZE, "CLIENT"): ids["router", CREATE, "SERVER"],
        ("gateway", AUTHORIZE, "SERVER"): ids["router", AUTHORIZE, "CLIENT"],
        ("gateway", PROCESSOR, "CLIENT"): ids["gateway", AUTHORIZE, "SERVER"],
    } == parents


def test_each_services_log_line_of_the_call_carries_the_trace_id(whole_mesh, story):
    payment, trace_id, _, _ = story

    for log, method in {"router": CREATE, "risk": ASSESS, "gateway": AUTHORIZE}.items():
        lines = lines_of(whole_mesh.mesh, trace_id, log)
        assert [method] == [line["method"] for line in lines if line["event"] == "rpc"], log
        assert {trace_id} == {line["trace_id"] for line in lines}, log
        assert {payment.merchant} == {line["merchant"] for line in lines if "merchant" in line}, log


def test_every_log_line_of_a_call_has_a_trace_id(whole_mesh):
    whole_mesh.pay()

    for service in whole_mesh.services:
        text = (whole_mesh.mesh.logs / f"{service}.log").read_text(encoding="utf-8")
        calls = [json.loads(line) for line in text.splitlines() if '"event":"rpc"' in line]
        assert [] == [line for line in calls if not re.fullmatch("[0-9a-f]{32}", line["trace_id"])]


async def test_rows_keep_the_trace_so_that_workers_and_the_books_go_on_with_it(whole_mesh, story):
    """Recon posts seconds later, from the sealed step: the trace id stands in its journal."""
    payment, trace_id, _, _ = story
    admin_url, stores = whole_mesh.mesh.stores.server().admin_url, whole_mesh.mesh.stores
    questions = {
        ("router", "SELECT traceparent FROM steps WHERE subject = $1"): payment.name,
        ("gateway", "SELECT traceparent FROM steps WHERE subject = $1"): payment.operations[0].name,
        ("recon", "SELECT traceparent FROM journals WHERE payment = $1"): payment.name,
    }
    ends = time.monotonic() + SEALED_AND_POSTED_WITHIN_S

    for (service, question), subject in questions.items():
        connection = await asyncpg.connect(database_of(admin_url, stores.database(service).name))
        rows = []
        while not rows and time.monotonic() < ends:
            rows = await connection.fetch(question, subject)
        await connection.close()
        assert rows, f"{service} has no row of {subject}"
        assert {trace_id} == {row["traceparent"].split("-")[1] for row in rows}, service


def test_a_callers_traceparent_is_followed_whether_or_not_it_records(whole_mesh):
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)

    _, recorded = whole_mesh.send(a_payment(), ("traceparent", f"00-{trace_id}-{span_id}-01"))
    silent_id = secrets.token_hex(16)
    _, silent = whole_mesh.send(a_payment(), ("traceparent", f"00-{silent_id}-{span_id}-00"))

    assert (trace_id, silent_id) == (recorded["trace-id"], silent["trace-id"])
    spans = whole_story(whole_mesh.mesh, trace_id)
    assert [f"0x{span_id}"] == [
        s["parent_id"] for s in spans.values() if told(s) == ("router", CREATE, "SERVER")
    ]
    assert {} == spans_of(whole_mesh.mesh, silent_id)
    assert [CREATE] == [line["method"] for line in lines_of(whole_mesh.mesh, silent_id, "router")]
    assert [AUTHORIZE] == [
        line["method"] for line in lines_of(whole_mesh.mesh, silent_id, "gateway")
    ]


def test_a_refused_call_has_a_trace_id_too_and_its_line_says_why(whole_mesh):
    with pytest.raises(grpc.RpcError) as refused:
        whole_mesh.send(a_payment(merchant_reference=""))

    trace_id = dict(refused.value.trailing_metadata())["trace-id"]
    (line,) = lines_of(whole_mesh.mesh, trace_id, "router")
    assert ("INVALID_ARGUMENT", "FIELD_REQUIRED") == (line["code"], line["reason"])


def test_a_traceparent_that_is_none_begins_a_new_trace(whole_mesh):
    for nonsense in ("", "hello", f"00-{'0' * 32}-{'1' * 16}-01", f"ff-{'a' * 32}-{'1' * 16}-01"):
        _, trailing = whole_mesh.send(a_payment(), ("traceparent", nonsense))

        assert re.fullmatch("[0-9a-f]{32}", trailing["trace-id"])
        assert trace.INVALID_TRACE_ID != int(trailing["trace-id"], 16)
        assert "a" * 32 != trailing["trace-id"]
