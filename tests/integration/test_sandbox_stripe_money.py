"""The imitation of Stripe moves money as Stripe documents it: within limits, once, and balanced."""

import asyncio
from typing import Any

import aiohttp
import pytest
import stripe

from tests.support.sandbox_stripe import (
    a_payment,
    control,
    keyed,
    moved,
    refused,
    running_stripe,
    stripe_client,
)

MULTICAPTURE = {"card": {"request_multicapture": "if_available"}}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture
async def api(sandbox) -> Any:
    async with stripe_client(sandbox) as client:
        yield client.v1


async def held(api, operation, **changes):
    return await api.payment_intents.create_async(
        a_payment(operation, capture_method="manual", **changes)
    )


async def test_more_than_was_captured_is_never_refunded(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/over"))
    refund = {"payment_intent": paid.id}

    too_much = await refused(api.refunds.create_async(refund | {"amount": 1251}))
    await api.refunds.create_async(refund | {"amount": 1000})
    rest = await refused(api.refunds.create_async(refund | {"amount": 251}))
    await api.refunds.create_async(refund)
    nothing = await refused(api.refunds.create_async(refund))

    assert ["amount", "amount"] == [too_much.param, rest.param]
    assert "charge_already_refunded" == nothing.code
    assert [1250, -1000, -250] == await moved(sandbox, "op/over")
    charge = await api.charges.retrieve_async(paid.latest_charge)
    assert (True, 1250) == (charge.refunded, charge.amount_refunded)


async def test_a_hundred_refunds_at_once_never_exceed_the_capture(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/hundred"))

    async def refund(number):
        params = {"payment_intent": paid.id, "amount": 90}
        try:
            return await api.refunds.create_async(params, keyed(f"hundred-{number}"))
        except stripe.InvalidRequestError as error:
            return error.param

    answers = await asyncio.gather(*(refund(number) for number in range(100)))

    assert 13 == sum(getattr(one, "status", "") == "succeeded" for one in answers)
    assert 87 == answers.count("amount")
    assert [1250] + [-90] * 13 == await moved(sandbox, "op/hundred")


async def test_a_hundred_captures_at_once_never_exceed_the_authorization(api, sandbox):
    intent = await held(api, "op/captures", payment_method_options=MULTICAPTURE)

    async def capture(number):
        params = {"amount_to_capture": 90, "final_capture": False}
        try:
            return await api.payment_intents.capture_async(
                intent.id, params, keyed(f"captures-{number}")
            )
        except stripe.InvalidRequestError as error:
            return error.code

    answers = await asyncio.gather(*(capture(number) for number in range(100)))

    assert 87 == answers.count("amount_too_large")
    assert [90] * 13 == await moved(sandbox, "op/captures")
    last = await api.payment_intents.capture_async(intent.id)
    assert ("succeeded", 1250, 0) == (last.status, last.amount_received, last.amount_capturable)


async def test_a_capture_takes_no_more_than_is_held_and_releases_the_rest(api, sandbox):
    intent = await held(api, "op/part")

    beyond = await refused(
        api.payment_intents.capture_async(intent.id, {"amount_to_capture": 1251})
    )
    part = await refused(
        api.payment_intents.capture_async(
            intent.id, {"amount_to_capture": 700, "final_capture": False}
        )
    )
    taken = await api.payment_intents.capture_async(intent.id, {"amount_to_capture": 700})
    again = await refused(api.payment_intents.capture_async(intent.id))

    assert ("amount_too_large", "final_capture") == (beyond.code, part.param)
    assert ("succeeded", 700, 0) == (taken.status, taken.amount_received, taken.amount_capturable)
    assert "payment_intent_unexpected_state" == again.code
    assert [700] == await moved(sandbox, "op/part")
    over = await refused(api.refunds.create_async({"payment_intent": intent.id, "amount": 701}))
    assert "amount" == over.param


async def test_a_canceled_intent_is_closed_for_good(api, sandbox):
    bare = await api.payment_intents.create_async(
        a_payment("op/closed", confirm=False, payment_method="pm_card_visa")
    )
    authorized = await held(api, "op/released")

    closed = await api.payment_intents.cancel_async(bare.id, {"cancellation_reason": "abandoned"})
    released = await api.payment_intents.cancel_async(authorized.id)

    assert ("canceled", "abandoned") == (closed.status, closed.cancellation_reason)
    assert ("canceled", 0) == (released.status, released.amount_capturable)
    for asking in (
        api.payment_intents.confirm_async(bare.id),
        api.payment_intents.capture_async(authorized.id),
        api.payment_intents.cancel_async(bare.id),
    ):
        error = await refused(asking)
        assert "payment_intent_unexpected_state" == error.code
        assert "canceled" == error.payment_intent.status
    assert [] == await moved(sandbox, "op/closed") + await moved(sandbox, "op/released")


async def test_of_confirming_and_canceling_exactly_one_wins(api, sandbox):
    async def race(number):
        operation = f"op/race-{number}"
        intent = await api.payment_intents.create_async(a_payment(operation, confirm=False))
        asked = [
            api.payment_intents.confirm_async(intent.id),
            api.payment_intents.cancel_async(intent.id),
        ]
        answers = await asyncio.gather(
            *(asked if number % 2 else reversed(asked)), return_exceptions=True
        )
        assert 1 == sum(isinstance(one, stripe.InvalidRequestError) for one in answers)
        now = await api.payment_intents.retrieve_async(intent.id)
        return now.status, await moved(sandbox, operation)

    ended = await asyncio.gather(*(race(number) for number in range(20)))

    assert {("succeeded", (1250,)), ("canceled", ())} >= {(s, tuple(m)) for s, m in ended}


async def test_a_decline_leaves_an_intent_that_can_be_tried_again(api, sandbox):
    declined = await refused(
        api.payment_intents.create_async(
            a_payment("op/retry", payment_method="pm_card_chargeDeclinedStolenCard")
        )
    )
    intent = declined.payment_intent

    paid = await api.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})

    assert ("card_declined", "stolen_card") == (declined.code, declined.decline_code)
    assert ("requires_payment_method", None) == (intent.status, intent.payment_method)
    assert "stolen_card" == intent.last_payment_error.decline_code
    assert ("succeeded", None) == (paid.status, paid.last_payment_error)
    assert [1250] == await moved(sandbox, "op/retry")


async def test_a_declined_intent_is_not_confirmed_without_another_method(api, sandbox):
    declined = await refused(
        api.payment_intents.create_async(
            a_payment("op/bare", payment_method="pm_card_chargeDeclined")
        )
    )

    error = await refused(api.payment_intents.confirm_async(declined.payment_intent.id))

    assert "missing a payment method" in error.message
    assert [] == await moved(sandbox, "op/bare")


@pytest.mark.parametrize(
    ("outcome", "status", "charged"),
    [("approve", "succeeded", [1250]), ("deny", "requires_payment_method", [])],
)
async def test_a_payer_who_is_sent_to_authenticate_decides(api, sandbox, outcome, status, charged):
    operation = f"op/3ds-{outcome}"
    intent = await api.payment_intents.create_async(
        a_payment(
            operation,
            payment_method="pm_card_authenticationRequired",
            return_url="https://shop.example/back?a=b",
        )
    )
    page = intent.next_action.redirect_to_url.url
    async with aiohttp.ClientSession() as browser:
        answered = await browser.post(page, data={"outcome": outcome}, allow_redirects=False)

    now = await api.payment_intents.retrieve_async(intent.id)

    assert ("requires_action", None) == (intent.status, intent.latest_charge)
    assert answered.headers["Location"].startswith("https://shop.example/back?a=b&payment_intent=")
    assert status == now.status
    assert charged == await moved(sandbox, operation)
    if outcome == "deny":
        assert "payment_intent_authentication_failure" == now.last_payment_error.code
        assert now.latest_charge is None


async def test_a_payer_who_is_not_there_cannot_authenticate(api, sandbox):
    asked = a_payment("op/away", payment_method="pm_card_authenticationRequired", off_session=True)

    error = await refused(api.payment_intents.create_async(asked))

    assert ("card_error", "authentication_required") == (error.type, error.code)
    assert [] == await moved(sandbox, "op/away")


async def test_a_pending_payment_ends_when_the_bank_says_so(api, sandbox):
    intent = await api.payment_intents.create_async(
        a_payment("op/bank", payment_method="tok_pending")
    )
    cancel = await refused(api.payment_intents.cancel_async(intent.id))

    await control(
        sandbox, f"/control/charges/{intent.latest_charge}/resolve", {"outcome": "succeed"}
    )

    assert ("processing", "payment_intent_unexpected_state") == (intent.status, cancel.code)
    now = await api.payment_intents.retrieve_async(intent.id)
    assert ("succeeded", 1250) == (now.status, now.amount_received)


async def test_the_answer_may_lie_and_a_look_tells_the_truth(api, sandbox):
    lied = await api.payment_intents.create_async(
        a_payment("op/lie", payment_method="tok_wrong_amount")
    )

    now = await api.payment_intents.retrieve_async(lied.id)

    assert (1350, 1250) == (lied.amount, now.amount)
    assert [1250] == await moved(sandbox, "op/lie")
