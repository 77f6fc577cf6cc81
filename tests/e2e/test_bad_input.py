"""Whatever a caller sends, it gets one precise refusal, and nothing is half-written."""

import asyncio
import itertools
from collections import Counter

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.crypto.v1 import crypto_rail_service_pb2
from cashier.gateway.v1 import gateway_service_pb2
from cashier.payments.v1 import payment_admin_service_pb2, payment_service_pb2
from cashier.recon.v1 import ledger_service_pb2, recon_service_pb2
from cashier.risk.v1 import risk_admin_service_pb2, risk_service_pb2
from cashier_common.rpc.status import error_info, status_of
from cashier_mesh.databases import database_of
from tests.support.malformed import BYTES, methods_of, request_of, spoiled
from tests.support.whole_mesh import CALL_S, MERCHANT, a_card, a_key, a_payment

CREATE = "/cashier.payments.v1.PaymentService/CreatePayment"
SERVED = {
    "router": (payment_service_pb2, payment_admin_service_pb2),
    "risk": (risk_service_pb2, risk_admin_service_pb2),
    "gateway": (gateway_service_pb2,),
    "crypto": (gateway_service_pb2, crypto_rail_service_pb2),
    "recon": (recon_service_pb2, ledger_service_pb2),
}
# What money or a decision hangs on; recon's books follow the router's by themselves.
TABLES = {
    "router": ("payments", "operations", "requests", "steps"),
    "risk": ("assessments", "outcomes", "steps"),
    "gateway": ("calls", "steps"),
    "crypto": ("transfers", "operations"),
    "recon": ("statements", "runs", "exceptions"),
}
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.OUT_OF_RANGE,
}
STREAM_S = 0.3
PARTS = 4  # of all ways to spoil something; some thousand calls are minutes on a slow machine
COUNT = "SELECT count(*) FROM {}"
PAYMENT = f"payments/pay_{'a' * 26}"
OPERATION = f"{PAYMENT}/operations/1"
MONEY = money_pb2.Money(minor=1_000, asset_code="USD")
ASSESS_CARD = instrument_pb2.Instrument(method=instrument_pb2.PAYMENT_METHOD_CARD)


def a_good(method):
    """A request that passes the contract, so that what was spoiled is the one thing wrong."""
    if method.input_type.name == "CreatePaymentRequest":
        return a_payment()
    request = request_of(method)
    defaults = {
        "merchant": MERCHANT, "name": PAYMENT, "payment": PAYMENT, "operation": OPERATION,
        "authorization": OPERATION, "capture": OPERATION, "operator": "ada", "reason": "a test",
        "etag": "0", "proof": "ticket 1", "processor_account": "sandbox-us",
        "merchant_reference": "order-0", "address": "0x" + "ab" * 20,
    }  # fmt: skip
    for field in request.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING and not field.is_repeated and field.name in defaults:
            setattr(request, field.name, defaults[field.name])
        elif field.name == "amount":
            request.amount.CopyFrom(MONEY)
        elif field.name == "instrument":
            request.instrument.CopyFrom(a_card() if "tok" in method.name else ASSESS_CARD)
    if isinstance(request, risk_service_pb2.AssessRequest):
        request.direction = risk_service_pb2.DIRECTION_PAYMENT
    if isinstance(request, gateway_service_pb2.AuthorizeRequest):
        request.processor_account = "no-such-account"  # a good one would charge
        request.instrument.CopyFrom(a_card())
    return request


def rows(whole_mesh):
    """How many rows there are of what matters, by service and table."""

    async def count():
        found = Counter()
        stores = whole_mesh.mesh.stores
        for service, tables in TABLES.items():
            url = database_of(stores.server().admin_url, stores.database(service).name)
            connection = await asyncpg.connect(url)
            for table in tables:
                found[service, table] = await connection.fetchval(COUNT.format(table))
            await connection.close()
        return found

    return asyncio.run(count())


def fault(error):
    """What is wrong with a refusal, or None."""
    status = status_of(error)
    infos = [d for d in (status.details if status else ()) if d.Is(INFO)]
    if error.code() not in REFUSALS:
        return f"{error.code().name}: {error.details()}"
    if len(infos) != 1 or not error_info(error).domain.endswith(".cashier"):
        return f"{error.code().name} with {len(infos)} ErrorInfo: {error.details()}"
    if "{" in error.details().replace("{0}{field}", ""):
        return f"an unfinished sentence: {error.details()}"
    return None


INFO = error_details_pb2.ErrorInfo.DESCRIPTOR


def answer_of(whole_mesh, service, method, body):
    """The error of a call, or None when it was answered; streams are read for a moment."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    channel = whole_mesh.bare(service, "operator")
    metadata = [("idempotency-key", OPERATION if method.name == "Authorize" else a_key())]
    try:
        if method.client_streaming:
            channel.stream_unary(path)(iter([body]), timeout=CALL_S, metadata=metadata)
        elif method.server_streaming:
            next(channel.unary_stream(path)(body, timeout=STREAM_S, metadata=metadata), None)
        else:
            channel.unary_unary(path)(body, timeout=CALL_S, metadata=metadata)
    except grpc.RpcError as error:
        timed_out = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return None if method.server_streaming and timed_out else error
    return None


def methods(whole_mesh):
    return [
        (service, method)
        for service in whole_mesh.services
        for contract in SERVED[service]
        for method in methods_of(contract)
    ]


def refused(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info = error_info(caught.value)
    assert info is not None, caught.value
    return caught.value.code(), info.reason, info.metadata.get("field", "")


INVALID = grpc.StatusCode.INVALID_ARGUMENT


def card(**changes):
    made = a_card()
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"merchant": ""}, "FIELD_REQUIRED", "merchant"),
        ({"merchant_reference": ""}, "FIELD_REQUIRED", "merchant_reference"),
        ({"merchant_reference": "x" * 129}, "FIELD_INVALID", "merchant_reference"),
        ({"merchant_reference": "a\x00b"}, "FIELD_INVALID", "merchant_reference"),
        ({"amount": None}, "FIELD_REQUIRED", "amount"),
        ({"amount": money_pb2.Money(minor=0, asset_code="USD")}, "FIELD_INVALID", "amount.minor"),
        ({"amount": money_pb2.Money(minor=-1, asset_code="USD")}, "FIELD_INVALID", "amount.minor"),
        (
            {"amount": money_pb2.Money(minor=2**63 - 1, asset_code="USD")},
            "FIELD_INVALID",
            "amount.minor",
        ),
        (
            {"amount": money_pb2.Money(minor=1, asset_code="XXQ")},
            "ASSET_UNKNOWN",
            "amount.asset_code",
        ),
        (
            {"amount": money_pb2.Money(minor=1, asset_code="usd")},
            "ASSET_UNKNOWN",
            "amount.asset_code",
        ),
        ({"amount": money_pb2.Money(minor=1)}, "FIELD_REQUIRED", "amount.asset_code"),
        ({"instrument": None}, "FIELD_REQUIRED", "instrument"),
        ({"instrument": card(method=99)}, "FIELD_INVALID", "instrument.method"),
        ({"instrument": card(issuer_country="usa")}, "FIELD_INVALID", "instrument.issuer_country"),
        ({"capture_method": 77}, "FIELD_INVALID", "capture_method"),
        ({"statement_descriptor": "x" * 23}, "FIELD_INVALID", "statement_descriptor"),
        ({"return_url": "javascript:alert(1)"}, "FIELD_INVALID", "return_url"),
        ({"metadata": {"k" * 65: "v"}}, "FIELD_INVALID", "metadata key"),
        ({"metadata": {"k": "v" * 513}}, "FIELD_INVALID", "metadata[k]"),
        ({"metadata": {str(n): "v" for n in range(51)}}, "FIELD_INVALID", "metadata"),
        ({"metadata": {f"k{n}": "v" * 1_000 for n in range(1_000)}}, "FIELD_INVALID", "metadata"),
    ],
)
def test_a_payment_that_breaks_the_contract_is_refused_by_the_name_of_its_field(
    whole_mesh, changes, reason, field
):
    request = a_payment(**{name: value for name, value in changes.items() if value is not None})
    for name in (name for name, value in changes.items() if value is None):
        request.ClearField(name)

    assert (INVALID, reason, field) == refused(lambda: whole_mesh.send(request))


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "with spaces in the key"])
def test_a_key_that_is_none_is_refused(whole_mesh, key):
    told = refused(lambda: whole_mesh.send(a_payment(), ("idempotency-key", key)))

    assert (INVALID, "IDEMPOTENCY_KEY_MISSING", "") == told


def test_a_payment_without_a_key_is_refused(whole_mesh):
    told = refused(lambda: whole_mesh.raw(CREATE, a_payment().SerializeToString()))

    assert (INVALID, "IDEMPOTENCY_KEY_MISSING", "") == told


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_a_negative_page_is_refused(whole_mesh, size):
    request = payment_service_pb2.ListPaymentsRequest(merchant=MERCHANT, page_size=size)

    told = refused(lambda: whole_mesh.payments().ListPayments(request))

    assert (INVALID, "FIELD_INVALID", "page_size") == told


def test_a_page_token_of_somebody_else_is_refused(whole_mesh):
    for token in ("nonsense", "AAAA", "x" * 2_000):
        request = payment_service_pb2.ListPaymentsRequest(merchant=MERCHANT, page_token=token)

        told = refused(lambda r=request: whole_mesh.payments().ListPayments(r))

        assert (INVALID, "PAGE_TOKEN_INVALID", "") == told


def test_bytes_that_are_no_message_are_refused_by_every_method(whole_mesh):
    before, faults = rows(whole_mesh), []

    for service, method in methods(whole_mesh):
        for what, body in BYTES.items():
            error = answer_of(whole_mesh, service, method, body)
            reason = error_info(error).reason if error and not fault(error) else str(error)
            if reason not in may_be_told(method, what):
                faults.append(f"{service} {method.name}: {what}: {reason}")

    assert [] == faults
    assert before == rows(whole_mesh)


def is_served(whole_mesh, service, method):
    """Whether anybody wrote the method: what is not served says so to a good request."""
    good = a_good(method)
    if method.name == "CreatePayment":
        return True
    error = answer_of(whole_mesh, service, method, good.SerializeToString())
    return error is None or error_info(error).reason != "NOT_SERVED"


def may_be_told(method, what):
    """A text that is not UTF-8 is an unknown field to a request that has no text there."""
    if method.client_streaming:  # a method that is not served reads no message
        return {"REQUEST_UNDECODABLE", "FIELD_REQUIRED", "NOT_SERVED"}
    first = method.input_type.fields_by_number.get(1)
    if what == "invalid UTF-8 in a text" and (first is None or first.type != first.TYPE_STRING):
        return {"REQUEST_UNDECODABLE", "FIELD_REQUIRED", "NOT_SERVED", "None"}
    return {"REQUEST_UNDECODABLE"}


@pytest.mark.some(1)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_field_of_every_method_spoiled_in_every_way_gets_one_precise_refusal(
    whole_mesh, part
):
    before, faults, tried = rows(whole_mesh), [], Counter()

    for service, method in methods(whole_mesh):
        if not is_served(whole_mesh, service, method):
            continue
        for what, request in itertools.islice(spoiled(a_good(method)), part, None, PARTS):
            if getattr(request, "merchant_reference", "").startswith("order-"):
                request.merchant_reference = a_key()  # so that a harmless change is a payment
            error = answer_of(whole_mesh, service, method, request.SerializeToString())
            wrong = fault(error) if error else None
            tried["refused" if error else "answered"] += 1
            if wrong:
                faults.append(f"{service} {method.name}: {what}: {wrong}")

    assert [] == faults
    assert tried["refused"] > 300 // PARTS
    written = {
        place: n for place, n in (rows(whole_mesh) - before).items() if n > tried["answered"]
    }
    assert {} == written  # an answered call writes at most one row of a kind, a refused one none
