"""Outgoing calls are completed: a deadline always, the trace, a key where one is required."""

import json

import grpc
import grpc_testing
import pytest
from opentelemetry import trace

from cashier_common.errors import IdempotencyKeyMissing
from cashier_common.rpc.client import idempotency_key, read_service_config, shared_host, uri_of
from cashier_common.rpc.deadlines import DEADLINE, Deadline, hop, outgoing_s
from cashier_common.rpc.outgoing import OutgoingInterceptor
from cashier_common.settings import SettingsRefused
from cashier_common.telemetry import Trace, enter, leave
from tests.contract.parcels import grpc_stubs, pb

SERVICE = pb.DESCRIPTOR.services_by_name["ParcelService"]
KEY = "order-2026-11-22-0001"
TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=False)


@pytest.fixture
def channel():
    clock = grpc_testing.strict_fake_time(0)
    return grpc_testing.channel([SERVICE], clock)


def retrying(name, *codes):
    policy = {"retryableStatusCodes": list(codes)}
    return json.dumps({"methodConfig": [{"name": [name], "retryPolicy": policy}]})


def send(channel, method="SendParcel", request=None, **options):
    """Start a call through the interceptor and answer what reached the transport."""
    seen = {}
    real = channel.unary_unary

    def watched(*args, **kwargs):
        call = real(*args, **kwargs)
        original = call.future

        def future(request, **rest):
            seen.update(rest)
            # The testing channel knows neither of these, and gRPC's interceptors always pass them.
            known = ("timeout", "metadata", "credentials")
            return original(request, **{name: rest[name] for name in known})

        call.future = future
        return call

    channel.unary_unary = watched
    stub = grpc_stubs.ParcelServiceStub(
        grpc.intercept_channel(channel, OutgoingInterceptor(with_trace=True))
    )
    answer = getattr(stub, method).future(request or pb.SendParcelRequest(), **options)
    metadata, _, rpc = channel.take_unary_unary(SERVICE.methods_by_name[method])
    rpc.terminate(pb.Parcel(text="sent"), (), grpc.StatusCode.OK, "")
    assert "sent" == answer.result().text
    return dict(metadata), seen.get("timeout")


def test_a_call_gets_a_deadline_and_a_fresh_key_where_one_is_required(channel):
    metadata, timeout = send(channel)

    assert 32 == len(metadata["idempotency-key"])
    assert 10.0 == timeout


def test_a_call_that_needs_no_key_carries_none(channel):
    metadata, _ = send(channel, "GetParcel", pb.GetParcelRequest())

    assert "idempotency-key" not in metadata


def test_the_callers_own_key_is_used_and_its_own_metadata_stays(channel):
    with idempotency_key(KEY):
        metadata, timeout = send(channel, metadata=(("x-note", "hello"),), timeout=3)

    assert (KEY, "hello", 3) == (metadata["idempotency-key"], metadata["x-note"], timeout)


def test_a_key_given_as_metadata_wins(channel):
    with idempotency_key(KEY):
        metadata, _ = send(channel, metadata=(("idempotency-key", "another-key-000000"),))

    assert "another-key-000000" == metadata["idempotency-key"]


def test_a_key_that_no_server_would_take_is_refused_before_the_call():
    with pytest.raises(IdempotencyKeyMissing), idempotency_key("short"):
        pass


def test_the_trace_goes_on_and_none_is_invented(channel):
    assert "traceparent" not in send(channel)[0]


def test_the_current_trace_goes_on(channel):
    token = enter(TRACE)
    try:
        metadata, _ = send(channel)
    finally:
        leave(token)

    assert TRACE.traceparent == metadata["traceparent"]
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_call_inside_a_call_keeps_a_reserve_of_what_is_left():
    token = DEADLINE.set(Deadline.after(2))
    try:
        inside = outgoing_s(10)
    finally:
        DEADLINE.reset(token)

    assert 1.9 < inside < 1.951
    assert 10 == outgoing_s(10)
    assert 0.001 == hop(0.01)


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("127.0.0.1:7401", "dns:///127.0.0.1:7401"),
        ("router.mesh:7401", "dns:///router.mesh:7401"),
        ("127.0.0.1:7401,127.0.0.1:7501", "ipv4:127.0.0.1:7401,127.0.0.1:7501"),
        ("localhost:7401, 127.0.0.1:7501", "ipv4:127.0.0.1:7401,127.0.0.1:7501"),
        ("[::1]:7401,[::1]:7501", "ipv6:[::1]:7401,[::1]:7501"),
    ],
)
def test_a_target_may_name_every_replica(target, uri):
    assert uri == uri_of(target)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("127.0.0.1:7401", None),
        ("127.0.0.1:7401,localhost:7501", "127.0.0.1"),
        ("10.0.0.1:7401,10.0.0.2:7401", None),
    ],
)
def test_replicas_on_one_host_are_known_by_its_name(target, host):
    assert host == shared_host(target)


@pytest.mark.parametrize("target", ["", "router", "a:1,b:2", "127.0.0.1:1,[::1]:2", "a:b"])
def test_a_target_that_cannot_be_resolved_is_refused(target):
    with pytest.raises(SettingsRefused, match="the target"):
        uri_of(target)


def test_the_meshs_own_service_config_is_accepted():
    assert "round_robin" in read_service_config()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nonsense", "not a JSON object"),
        ("[]", "not a JSON object"),
        (retrying({"service": "a.B", "method": "C"}, "UNAVAILABLE", "ABORTED"), "UNAVAILABLE only"),
        (retrying({"service": "a.B"}, "UNAVAILABLE"), "list each method"),
        (retrying({}, "UNAVAILABLE"), "list each method"),
    ],
)
def test_a_service_config_that_retries_too_much_is_refused(text, complaint):
    with pytest.raises(SettingsRefused, match=complaint):
        read_service_config(text)
