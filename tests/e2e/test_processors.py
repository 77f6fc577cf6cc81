"""Stripe's and Adyen's APIs behind the whole mesh: what they answer, and what they tell later."""

import pytest

from cashier.payments.v1 import dispute_pb2, payment_pb2
from tests.support.mesh_client import a_key, a_payment
from tests.support.waiting import until

Payment, Operation = payment_pb2.Payment, payment_pb2.Operation

pytestmark = pytest.mark.usefixtures("books_agree")


@pytest.fixture(params=["sandbox-us", "sandbox-stripe", "sandbox-adyen"])
def account(request):
    """Our own API, Stripe's, and Adyen's, where what follows an authorization ends by webhook."""
    return request.param


def states(payment):
    return [
        (Operation.Kind.Name(o.kind)[5:], Operation.State.Name(o.state)[6:])
        for o in payment.operations
    ]


async def resting(checkout, payment, *kinds):
    """The payment when all its operations have an answer; they are of these kinds."""

    async def look():
        found = await checkout.get(payment.name)
        waits = {Operation.STATE_SUBMITTING, Operation.STATE_PENDING, Operation.STATE_IN_DOUBT}
        return None if any(o.state in waits for o in found.operations) else found

    found = await until(look, 60)
    assert [(kind, "SUCCEEDED") for kind in ("AUTHORIZE", *kinds)] == states(found)
    return found


async def test_money_is_held_taken_in_parts_and_given_back(checkout, processors, account):
    created = await checkout.create(a_payment(account, minor=1_000, manual=True), a_key())
    assert Payment.STATE_AUTHORIZED == created.payment.state, created.payment

    await checkout.capture(created.payment, 300)
    taken = await resting(checkout, created.payment, "CAPTURE")
    await checkout.capture(taken, 400, final=True)
    taken = await resting(checkout, taken, "CAPTURE", "CAPTURE")
    await checkout.refund(taken, 250)
    done = await resting(checkout, taken, "CAPTURE", "CAPTURE", "REFUND")

    assert (700, 250, 300) == (
        done.captured_amount.minor, done.refunded_amount.minor, done.voided_amount.minor,
    )  # fmt: skip
    assert 450 == sum(move.minor for move in await processors.moves_of(done.name))


async def test_what_is_held_is_released(checkout, processors, account):
    created = await checkout.create(a_payment(account, minor=1_000, manual=True), a_key())

    await checkout.cancel(created.payment)
    done = await resting(checkout, created.payment, "VOID")

    assert Payment.STATE_CANCELED == done.state
    assert [] == [m for m in await processors.moves_of(done.name) if m.minor]


async def test_a_lost_answer_charges_once_and_ends_by_evidence(checkout, processors, account):
    rule = {"behaviour": "lost_answer", "operation": "charge", "times": 1}
    async with processors.rules(account, rule):
        created = await checkout.create(a_payment(account, minor=1_100), a_key())

    done = await resting(checkout, created.payment)

    assert Payment.STATE_SUCCEEDED == done.state
    assert [1_100] == [move.minor for move in await processors.moves_of(done.name)]


@pytest.mark.parametrize("account", ["sandbox-stripe", "sandbox-adyen"])
async def test_a_chargeback_that_a_webhook_tells_is_a_dispute_of_the_payment(
    checkout, processors, account
):
    created = await checkout.create(a_payment(account, minor=1_200), a_key())
    payment = await resting(checkout, created.payment)
    (charge,) = await processors.moves_of(payment.name)

    await processors.chargeback(charge.move_id, 500)
    disputed = await until(lambda: with_dispute(checkout, payment), 60)

    (dispute,) = disputed.disputes
    assert (500, account) == (dispute.amount.minor, dispute.processor_account)
    assert dispute_pb2.Dispute.STATE_OPEN == dispute.state
    assert 500 == disputed.disputed_amount.minor


async def with_dispute(checkout, payment):
    found = await checkout.get(payment.name)
    return found if found.disputes and found.disputed_amount.minor else None
