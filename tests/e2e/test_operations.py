"""Every operation of a payment through the mesh, with the processors' own ledgers beside it."""

import asyncio

import grpc
import pytest

from cashier.payments.v1 import payment_pb2
from cashier_common.rpc.status import refusal_reason
from tests.support.mesh_client import a_key, a_payment, a_payout
from tests.support.waiting import until

Payment, Operation = payment_pb2.Payment, payment_pb2.Operation
PARALLEL = 100

pytestmark = pytest.mark.usefixtures("books_agree")


def amounts(payment):
    return {
        name: getattr(payment, f"{name}_amount").minor
        for name in ("authorized", "captured", "refunded", "voided")
        if getattr(payment, f"{name}_amount").minor
    }


def states(payment):
    return [
        (Operation.Kind.Name(o.kind)[5:], Operation.State.Name(o.state)[6:])
        for o in payment.operations
    ]


async def refusal(call):
    """The reason of a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await call
    return refusal_reason(told.value).reason


async def authorized(checkout, **changes):
    answer = await checkout.create(a_payment(manual=True, **changes), a_key())
    assert Payment.STATE_AUTHORIZED == answer.payment.state, answer.payment
    return answer.payment


async def paid(checkout, **changes):
    answer = await checkout.create(a_payment(**changes), a_key())
    assert Payment.STATE_SUCCEEDED == answer.payment.state, answer.payment
    return answer.payment


async def test_an_authorization_is_captured_in_parts_and_the_last_one_releases_the_rest(checkout):
    payment = await authorized(checkout, minor=1_000)

    part = await checkout.capture(payment, 300)
    last = await checkout.capture(payment, 200, final=True)

    assert {"authorized": 1_000, "captured": 300} == amounts(part)
    assert {"authorized": 1_000, "captured": 500, "voided": 500} == amounts(last)
    assert Payment.STATE_SUCCEEDED == last.state
    assert [last.operations[0].name] * 2 == [o.target for o in last.operations[1:]]


async def test_a_capture_without_amount_takes_all_that_is_left(checkout):
    payment = await authorized(checkout, minor=1_000)
    await checkout.capture(payment, 1)

    done = await checkout.capture(payment)

    assert {"authorized": 1_000, "captured": 1_000} == amounts(done)


async def test_a_canceled_authorization_is_released_and_can_never_be_captured(checkout):
    payment = await authorized(checkout, minor=700)

    canceled = await checkout.cancel(payment)

    assert Payment.STATE_CANCELED == canceled.state
    assert {"authorized": 700, "voided": 700} == amounts(canceled)
    assert "PAYMENT_STATE_REFUSED" == await refusal(checkout.capture(payment))


async def test_a_payment_is_refunded_in_parts_and_never_beyond_what_was_taken(checkout):
    payment = await paid(checkout, minor=1_000)

    await checkout.refund(payment, 400)
    too_much = await refusal(checkout.refund(payment, 601))
    rest = await checkout.refund(payment)
    nothing_left = await refusal(checkout.refund(payment))

    assert ["AMOUNT_NOT_AVAILABLE"] * 2 == [too_much, nothing_left]
    assert {"authorized": 1_000, "captured": 1_000, "refunded": 1_000} == amounts(rest)
    assert Payment.STATE_SUCCEEDED == rest.state


async def test_a_payout_is_paid_once_and_a_declined_one_tries_the_next_account(checkout):
    key, request = a_key(), a_payout(minor=2_500)
    first, again = await checkout.payout(request, key), await checkout.payout(request, key)
    rerouted = await checkout.payout(
        a_payout(token="tok_decline_soft", sandbox_global="tok_ok"), a_key()
    )

    assert first == again
    assert [("PAYOUT", "SUCCEEDED")] == states(first)
    assert [("PAYOUT", "DECLINED_SOFT"), ("PAYOUT", "SUCCEEDED")] == states(rerouted)
    assert "PAYMENT_STATE_REFUSED" == await refusal(checkout.refund(first))


@pytest.mark.parametrize("wish", ["capture", "refund", "cancel"])
async def test_asking_twice_with_one_key_does_it_once(checkout, wish):
    payment = await (paid if wish == "refund" else authorized)(checkout, minor=1_000)
    ask, key = getattr(checkout, wish), a_key()
    part = () if wish == "cancel" else (600,)

    answers = await asyncio.gather(*(ask(payment, *part, key=key) for _ in range(8)))

    assert {2} == {len(answer.operations) for answer in answers}
    assert [answers[0]] * 8 == answers


async def test_one_key_serves_one_request_of_one_method(checkout):
    payment, key = await paid(checkout, minor=1_000), a_key()
    await checkout.refund(payment, 100, key=key)

    other_amount = await refusal(checkout.refund(payment, 200, key=key))
    other_method = await refusal(checkout.cancel(payment, key=key))
    new_payment = await refusal(checkout.create(a_payment(), key))

    assert ["IDEMPOTENCY_KEY_REUSED"] * 3 == [other_amount, other_method, new_payment]


@pytest.mark.parametrize("wish", ["capture", "refund"])
async def test_a_hundred_parallel_parts_never_exceed_the_whole(checkout, wish):
    payment = await (paid if wish == "refund" else authorized)(checkout, minor=1_000)

    async def part():
        try:
            await getattr(checkout, wish)(payment, 70)
        except grpc.aio.AioRpcError as error:
            return refusal_reason(error).reason
        return "done"

    told = await asyncio.gather(*(part() for _ in range(PARALLEL)))

    left = await checkout.get(payment.name)
    assert 14 == told.count("done")
    assert {"done", "AMOUNT_NOT_AVAILABLE"} == set(told)
    assert 980 == (left.refunded_amount if wish == "refund" else left.captured_amount).minor


async def test_a_refund_whose_answer_was_lost_ends_by_evidence(checkout, processors):
    payment = await paid(checkout, minor=900)
    rule = {"behaviour": "lost_answer", "operation": "refund", "times": 1}

    async with processors.rules("sandbox-us", rule):
        told = await checkout.refund(payment, 300)
    done = await until(lambda: rested(checkout, payment))

    assert told.in_doubt or told.refunded_amount.minor == 300
    assert [("AUTHORIZE", "SUCCEEDED"), ("REFUND", "SUCCEEDED")] == states(done)


async def test_a_cancellation_while_in_flight_gives_a_later_success_back(checkout, processors):
    answer = await checkout.create(a_payment(token="tok_pending_2", minor=650), a_key())
    assert Payment.STATE_PROCESSING == answer.payment.state

    wished = await checkout.cancel(answer.payment)
    done = await until(lambda: in_state(checkout, answer.payment, Payment.STATE_CANCELED), 90)

    assert wished.cancel_requested
    assert [("AUTHORIZE", "SUCCEEDED"), ("REFUND", "SUCCEEDED")] == states(done)
    assert 0 == sum(move.minor for move in await processors.moves_of(done.name))


async def test_a_cancellation_closes_what_waits_for_the_customer(checkout):
    answer = await checkout.create(a_payment(token="tok_action_required"), a_key())
    assert Payment.STATE_ACTION_REQUIRED == answer.payment.state

    done = await checkout.cancel(answer.payment)

    assert Payment.STATE_CANCELED == done.state
    assert [("AUTHORIZE", "EXPIRED"), ("VOID", "SUCCEEDED")] == states(done)


async def test_confirming_fetches_what_the_customer_did_and_nothing_else(checkout, processors):
    answer = await checkout.create(a_payment(token="tok_action_required"), a_key())
    early = await checkout.confirm(answer.payment)

    await processors.approve(answer.payment.next_action.redirect.url)
    done = await checkout.confirm(answer.payment)

    assert Payment.STATE_ACTION_REQUIRED == early.state
    assert Payment.STATE_SUCCEEDED == done.state
    assert "PAYMENT_STATE_REFUSED" == await refusal(checkout.confirm(done))


async def rested(checkout, payment):
    found = await checkout.get(payment.name)
    return found if found.state == Payment.STATE_SUCCEEDED and not found.in_doubt else None


async def in_state(checkout, payment, state):
    found = await checkout.get(payment.name)
    return found if found.state == state else None
