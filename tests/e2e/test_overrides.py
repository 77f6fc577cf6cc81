"""What operators may decide about an operation, and what they may not."""

import grpc
import pytest

from cashier.payments.v1 import payment_admin_service_pb2, payment_pb2
from cashier_common.rpc.status import refusal_reason
from tests.support.mesh_client import AdminClient, MeshClient, a_key, a_payment
from tests.support.waiting import until

API = payment_admin_service_pb2
Payment, Operation = payment_pb2.Payment, payment_pb2.Operation

pytestmark = pytest.mark.usefixtures("books_agree")


@pytest.fixture
async def admin(mesh):
    async with AdminClient(mesh) as client:
        yield client


def replay_of(payment, number=1, **changes):
    facts = {
        "merchant": payment.merchant, "operation": payment.operations[number - 1].name,
        "operator": "olivia", "reason": "the customer asked for it", "etag": payment.etag,
    }  # fmt: skip
    return API.ReplayOperationRequest(**{**facts, **changes})


def resolution_of(payment, state, **changes):
    facts = {
        "merchant": payment.merchant, "operation": payment.operations[-1].name,
        "resolution": state, "operator": "olivia", "reason": "seen in the processor's console",
        "proof": "ticket 4711", "etag": payment.etag,
    }  # fmt: skip
    return API.ResolveInDoubtRequest(**{**facts, **changes})


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await call
    return refusal_reason(told.value).reason


async def failed_softly(checkout, processors):
    """A payment that its only account declined once, and would take now."""
    rule = {"behaviour": "decline_soft", "operation": "charge", "times": 1}
    async with processors.rules("sandbox-us", rule):
        payment = (await checkout.create(a_payment(minor=1_234), a_key())).payment
    assert Payment.STATE_FAILED == payment.state
    return payment


async def test_a_soft_decline_is_tried_again_over_an_operators_name(checkout, processors, admin):
    payment, key = await failed_softly(checkout, processors), a_key()

    done = await admin.replay(replay_of(payment), key)
    again = await admin.replay(replay_of(payment), key)

    assert done == again
    assert Payment.STATE_SUCCEEDED == done.state
    assert [Operation.STATE_DECLINED_SOFT, Operation.STATE_SUCCEEDED] == [
        o.state for o in done.operations
    ]
    step = await admin.step(payment, "REPLAY")
    assert ("olivia", "the customer asked for it") == (
        step["decided_by"]["operator"], step["decided_by"]["reason"],
    )  # fmt: skip


async def test_what_changed_since_the_operator_looked_is_not_overridden(
    checkout, processors, admin
):
    payment = await failed_softly(checkout, processors)

    told = await refusal(admin.replay(replay_of(payment, etag="0" * 16), a_key()))

    assert "ETAG_MISMATCH" == told
    assert payment == await checkout.get(payment.name)


@pytest.mark.parametrize(
    ("token", "reason"),
    [("tok_ok", "OPERATION_STATE_REFUSED"), ("tok_stolen", "OPERATION_STATE_REFUSED")],
)
async def test_nothing_but_a_soft_no_is_replayed(checkout, admin, token, reason):
    payment = (await checkout.create(a_payment(token=token), a_key())).payment

    assert reason == await refusal(admin.replay(replay_of(payment), a_key()))
    assert "OPERATION_STATE_REFUSED" == await refusal(
        admin.resolve(resolution_of(payment, Operation.STATE_DECLINED_HARD), a_key())
    )


async def test_a_checkout_may_not_override(mesh, checkout):
    payment = (await checkout.create(a_payment(), a_key())).payment

    async with AdminClient(mesh, "checkout") as stranger:
        assert "METHOD_DENIED" == await refusal(stranger.replay(replay_of(payment), a_key()))


async def test_a_doubt_is_listed_and_ends_by_an_operators_proof(mesh, checkout, processors, admin):
    async with processors.lost_charge("sandbox-latam"):
        request = a_payment("sandbox-latam", minor=4_321, asset="BRL")
        request.customer.country = request.instrument.issuer_country = "BR"
        payment = (await checkout.create(request, a_key())).payment
        assert payment.in_doubt

        listed = await admin.in_doubt(payment.merchant)
        done = await until(lambda: resolved(admin, checkout, payment.name))

    assert payment.name in {found.name for found in listed}
    assert Payment.STATE_SUCCEEDED == done.state
    assert payment.name not in {p.name for p in await admin.in_doubt(payment.merchant)}
    step = await admin.step(payment, "RESOLVED_SUCCEED")
    assert "ticket 4711" == step["decided_by"]["proof"]


async def test_a_proof_that_the_rail_contradicts_is_refused(checkout, processors, admin):
    async with processors.lost_charge("sandbox-latam"):
        request = a_payment("sandbox-latam", minor=4_322, asset="BRL")
        request.customer.country = request.instrument.issuer_country = "BR"
        payment = (await checkout.create(request, a_key())).payment
    denied = resolution_of(payment, Operation.STATE_NOT_FOUND)

    told = await refusal(admin.resolve(denied, a_key()))

    assert told in {"EVIDENCE_CONTRADICTS", "ETAG_MISMATCH", "OPERATION_STATE_REFUSED"}
    done = await until(lambda: settled(checkout, payment.name))
    assert [Operation.STATE_SUCCEEDED] == [o.state for o in done.operations]


async def resolved(admin: AdminClient, checkout: MeshClient, name: str):
    """Resolve with the etag of now: the janitor may have moved it between look and word."""
    payment = await checkout.get(name)
    try:
        return await admin.resolve(resolution_of(payment, Operation.STATE_SUCCEEDED), a_key())
    except grpc.aio.AioRpcError as error:
        if refusal_reason(error).reason != "ETAG_MISMATCH":
            raise
        return None


async def settled(checkout: MeshClient, name: str):
    found = await checkout.get(name)
    return None if found.in_doubt else found
