"""One key, one payment, one charge: over retries, races, replicas, refusals and hang-ups."""

import asyncio
import uuid

import grpc
import pytest

from cashier.payments.v1 import payment_pb2
from cashier_common.ids import payment_name
from cashier_common.rpc.status import error_info
from tests.support.mesh_client import (
    FOREIGN_MERCHANT,
    MERCHANT,
    Answer,
    MeshClient,
    Request,
    a_key,
    a_payment,
)
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("books_agree")
CALLERS = 50
Payment = payment_pb2.Payment


async def refused(client: MeshClient, request: Request, key: str) -> tuple[grpc.StatusCode, str]:
    """Status and reason of a call that must not succeed."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.create(request, key)
    info = error_info(caught.value)
    return caught.value.code(), info.reason if info else "no ErrorInfo"


async def pay(client: MeshClient, request: Request) -> Answer:
    return await client.create(request, a_key())


@pytest.mark.parametrize("replica", [1, None], ids=["one router", "two routers"])
async def test_fifty_callers_with_one_key_charge_once_and_hear_the_same(
    mesh, processors, account, replica
):
    request, key = a_payment(account, await processors.card(account)), a_key()

    async with MeshClient(mesh, replica=replica) as client:
        answers = await asyncio.gather(*(client.create(request, key) for _ in range(CALLERS)))

    payment = answers[0].payment
    assert [payment] * CALLERS == [answer.payment for answer in answers]
    assert Payment.STATE_SUCCEEDED == payment.state
    assert 1_000 == payment.captured_amount.minor
    assert CALLERS - 1 == sum(answer.replayed for answer in answers)
    assert 1 == len(await processors.moves_of(payment.name))


async def test_a_retry_with_another_certificate_gets_the_same_payment(mesh, checkout, processors):
    """A checkout and its retry job may carry different certificates."""
    request, key = a_payment(), a_key()
    first = await checkout.create(request, key)

    async with MeshClient(mesh, "demo") as retry_job:
        again = await retry_job.create(request, key)

    assert first.payment == again.payment
    assert (False, True) == (first.replayed, again.replayed)
    assert 1 == len(await processors.moves_of(first.payment.name))


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"minor": 1_001, "asset_code": "USD"}},
        {"amount": {"minor": 1_000, "asset_code": "CAD"}},
        {"merchant_reference": "another-order"},
        {"metadata": {"basket": "another"}},
        {"statement_descriptor": "ANOTHER SHOP"},
    ],
    ids=["amount", "asset", "reference", "metadata", "descriptor"],
)
async def test_a_key_used_for_another_request_is_refused(checkout, processors, change):
    request, key = a_payment(), a_key()
    first = await checkout.create(request, key)
    other = Request()
    other.CopyFrom(request)
    for field in change:
        other.ClearField(field)
    other.MergeFrom(Request(**change))

    status = await refused(checkout, other, key)

    assert (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED") == status
    assert first.payment == (await checkout.create(request, key)).payment
    assert 1 == len(await processors.moves_of(first.payment.name))


async def test_two_requests_racing_with_one_key_make_one_payment(checkout, processors):
    """Each caller hears of its own payment or of the reuse; never both get one."""
    one, key = a_payment(), a_key()
    other = Request()
    other.CopyFrom(one)
    other.amount.minor = 2_000

    results = await asyncio.gather(
        *(checkout.create(r, key) for r in (one, other) * 10), return_exceptions=True
    )

    answers = [result for result in results if isinstance(result, Answer)]
    reasons = {error_info(r).reason for r in results if isinstance(r, grpc.aio.AioRpcError)}
    assert 10 == len(answers)
    assert 1 == len({answer.payment.amount.minor for answer in answers})
    assert {"IDEMPOTENCY_KEY_REUSED"} == reasons
    assert 1 == len(await processors.moves_of(answers[0].payment.name))


@pytest.mark.parametrize(
    "key",
    ["fifteen-letters", "x" * 129, "with a space inside it", ""],
    ids=["short", "long", "space", "empty"],
)
async def test_a_malformed_key_is_refused(checkout, key):
    status = await refused(checkout, a_payment(), key)

    assert (grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_MISSING") == status


async def test_a_call_without_a_key_is_refused(checkout):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await checkout.create_without_key(a_payment())

    assert grpc.StatusCode.INVALID_ARGUMENT == caught.value.code()
    assert "IDEMPOTENCY_KEY_MISSING" == error_info(caught.value).reason


async def test_a_key_that_is_not_ascii_never_makes_a_payment(checkout):
    """gRPC itself refuses to send such metadata; the server's own check is a unit test's."""
    with pytest.raises(grpc.aio.BaseError):
        await checkout.create(a_payment(), "schlüssel-mit-umlaut")


async def test_a_decline_is_an_answer_and_replays_as_itself(checkout, processors):
    request, key = a_payment(token="tok_decline_hard"), a_key()

    first = await checkout.create(request, key)
    again = await checkout.create(request, key)

    assert Payment.STATE_FAILED == first.payment.state
    assert first.payment == again.payment
    assert (False, True) == (first.replayed, again.replayed)
    tries = [t for t in await processors.traces() if t.operation.startswith(first.payment.name)]
    assert 1 == len(tries)


async def test_a_request_refused_by_validation_claims_nothing(checkout):
    request, key = a_payment(), a_key()
    wrong = Request()
    wrong.CopyFrom(request)
    wrong.amount.minor = 0

    status = await refused(checkout, wrong, key)
    answer = await checkout.create(request, key)

    assert (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") == status
    assert Payment.STATE_SUCCEEDED == answer.payment.state
    assert not answer.replayed


async def test_a_request_refused_by_permission_claims_nothing(mesh, checkout):
    request, key = a_payment(merchant=FOREIGN_MERCHANT), a_key()

    status = await refused(checkout, request, key)
    async with MeshClient(mesh, "operator") as operator:
        answer = await operator.create(request, key)

    assert (grpc.StatusCode.PERMISSION_DENIED, "MERCHANT_DENIED") == status
    assert Payment.STATE_SUCCEEDED == answer.payment.state
    assert not answer.replayed


async def test_one_key_means_two_payments_for_two_merchants(mesh):
    key = a_key()

    async with MeshClient(mesh, "operator") as operator:
        one = await operator.create(a_payment(merchant=MERCHANT), key)
        other = await operator.create(a_payment(merchant=FOREIGN_MERCHANT), key)

    assert one.payment.name != other.payment.name
    assert (False, False) == (one.replayed, other.replayed)


async def test_a_live_payment_keeps_its_merchant_reference(checkout, processors):
    reference = f"order-{uuid.uuid4().hex}"
    first = await pay(checkout, a_payment(reference=reference))
    other_key = a_key()

    status = await refused(checkout, a_payment(reference=reference), other_key)

    assert (grpc.StatusCode.ALREADY_EXISTS, "MERCHANT_REFERENCE_IN_USE") == status
    assert 1 == len(await processors.moves_of(first.payment.name))
    assert [] == await processors.moves_of(payment_name(MERCHANT, other_key))


async def test_of_twenty_racing_payments_with_one_reference_one_is_made(checkout):
    reference = f"order-{uuid.uuid4().hex}"
    requests = [a_payment(reference=reference) for _ in range(20)]

    results = await asyncio.gather(*(pay(checkout, r) for r in requests), return_exceptions=True)

    reasons = [error_info(r).reason for r in results if isinstance(r, grpc.aio.AioRpcError)]
    assert ["MERCHANT_REFERENCE_IN_USE"] * 19 == reasons


async def test_a_failed_payment_frees_its_merchant_reference(checkout):
    reference = f"order-{uuid.uuid4().hex}"
    failed = await pay(checkout, a_payment(token="tok_decline_hard", reference=reference))

    second = await pay(checkout, a_payment(reference=reference))

    assert Payment.STATE_FAILED == failed.payment.state
    assert Payment.STATE_SUCCEEDED == second.payment.state


async def test_a_payment_ends_although_its_caller_hangs_up(checkout, processors):
    request, key = a_payment(token="tok_slow_1500"), a_key()
    name = payment_name(MERCHANT, key)
    call = checkout.call(request, key)
    moving = await until(lambda: _found(checkout, name))

    call.cancel()
    payment = await until(lambda: _at_rest(checkout, name))

    assert Payment.STATE_PROCESSING == moving.state
    assert Payment.STATE_SUCCEEDED == payment.state
    assert 1 == len(await processors.moves_of(name))


async def test_a_caller_out_of_time_hears_how_it_stands_and_a_retry_hears_the_end(
    checkout, processors
):
    request, key = a_payment(token="tok_slow_1500"), a_key()

    hurried = await checkout.create(request, key, timeout_s=0.8)
    patient = await checkout.create(request, key)

    assert Payment.STATE_PROCESSING == hurried.payment.state
    assert Payment.STATE_SUCCEEDED == patient.payment.state
    assert hurried.payment.name == patient.payment.name
    assert patient.replayed
    assert 1 == len(await processors.moves_of(patient.payment.name))


async def _found(client: MeshClient, name: str) -> Payment | None:
    try:
        return await client.get(name)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return None


async def _at_rest(client: MeshClient, name: str) -> Payment | None:
    payment = await client.get(name)
    return None if payment.state == Payment.STATE_PROCESSING else payment
