"""Who may call what for whom, and what must not come in: every server's door."""

import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cashier_common.rpc.client import idempotency_key
from cashier_common.rpc.status import error_info, is_nothing_happened
from tests.contract.mesh_fixture import CHECKOUT, KEY, OPERATOR, READER, STRANGER, a_mesh, a_parcel
from tests.contract.parcels import grpc_stubs, pb
from tests.support.parcel_mesh import mesh, refusal, told

__all__ = ["mesh"]
CARD = "4111 1111 1111 1111"


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
