"""The imitation of Stripe moves money as Stripe documents it: within limits, once, and balanced."""

import asyncio
import csv
import io
from typing import Any

import aiohttp
import pytest
import stripe

from tests.support.sandbox_stripe import (
    a_payment,
    keyed,
    moved,
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


async def refused(asking) -> Any:
    with pytest.raises(stripe.StripeError) as caught:
        await asking
    return caught.value.error


async def held(api, operation, **changes):
    return await api.payment_intents.create_async(
        a_payment(operation, capture_method="manual", **changes)
    )


async def control(sandbox, path, body=None):
    async with sandbox.control() as client:
        return await client.post(path, body)


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


async def test_what_fails_at_the_bank_comes_back(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/returned"))
    refund = await api.refunds.create_async({"payment_intent": paid.id, "amount": 500})
    await control(sandbox, f"/control/refunds/{refund.id}/fail")

    failed = await api.refunds.retrieve_async(refund.id)

    assert ("failed", True) == (failed.status, failed.failure_balance_transaction is not None)
    assert [1250, -500, 500] == await moved(sandbox, "op/returned")
    told = await api.events.list_async({"type": "refund.failed"})
    assert refund.id in {event.data.object["id"] for event in told.data}
    await api.refunds.create_async({"payment_intent": paid.id, "amount": 1250})


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


async def test_a_dispute_withdraws_the_money_and_a_won_one_gives_it_back(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/dispute"))
    before = (await api.balance.retrieve_async()).available[0].amount

    await control(sandbox, f"/control/charges/{paid.latest_charge}/chargeback")
    [dispute] = (await api.disputes.list_async({"payment_intent": paid.id})).data
    withdrawn = (await api.balance.retrieve_async()).available[0].amount
    blocked = await refused(api.refunds.create_async({"payment_intent": paid.id}))
    await api.disputes.update_async(
        dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}}
    )
    won = await api.disputes.retrieve_async(dispute.id)

    assert ("needs_response", 1250) == (dispute.status, dispute.amount)
    assert [(-1250, 1500)] == [(one.amount, one.fee) for one in dispute.balance_transactions]
    assert before - 1250 - 1500 == withdrawn
    assert "charge_disputed" == blocked.code
    assert ("won", [-1250, 1250]) == (won.status, [one.amount for one in won.balance_transactions])
    assert before - 1500 == (await api.balance.retrieve_async()).available[0].amount
    assert "already closed" in (await refused(api.disputes.close_async(dispute.id))).message


async def test_an_accepted_dispute_is_lost(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/accepted"))
    await control(sandbox, f"/control/charges/{paid.latest_charge}/chargeback", {"amount": 400})
    [dispute] = (await api.disputes.list_async({"charge": paid.latest_charge})).data

    closed = await api.disputes.close_async(dispute.id)

    assert "lost" == closed.status
    assert [1250, -400] == await moved(sandbox, "op/accepted")
    await api.refunds.create_async({"payment_intent": paid.id, "amount": 850})


async def test_amounts_are_in_stripes_units_and_the_ledger_keeps_its_own(api, sandbox):
    for currency, theirs, ours in (("jpy", 500, 500), ("isk", 50_000, 500), ("kwd", 1250, 1250)):
        operation = f"op/{currency}"
        paid = await api.payment_intents.create_async(
            a_payment(operation, currency=currency, amount=theirs)
        )
        assert (theirs, currency) == (paid.amount_received, paid.currency)
        assert [ours] == await moved(sandbox, operation)
    odd = await refused(
        api.payment_intents.create_async(a_payment("op/odd", currency="isk", amount=50_001))
    )
    assert "amount" == odd.param


async def test_a_payout_leaves_and_a_refused_one_does_not(api, sandbox):
    params = {"amount": 400, "currency": "eur", "method": "instant"}
    there = {"destination": "tok_ok.jane", "metadata": {"cashier_operation": "op/payout"}}
    nowhere = {
        "destination": "tok_decline_invalid_account",
        "metadata": {"cashier_operation": "op/nowhere"},
    }

    paid = await api.payouts.create_async(params | there, keyed("payout"))
    again = await api.payouts.create_async(params | there, keyed("payout"))
    failed = await api.payouts.create_async(params | nowhere)
    unknown = await refused(api.payouts.create_async(params | {"destination": "ba_nobody"}))

    assert ("paid", paid.id) == (paid.status, again.id)
    assert ("failed", "no_account") == (failed.status, failed.failure_code)
    assert "resource_missing" == unknown.code
    assert [-400] == await moved(sandbox, "op/payout")
    assert [] == await moved(sandbox, "op/nowhere")


async def test_the_answer_may_lie_and_a_look_tells_the_truth(api, sandbox):
    lied = await api.payment_intents.create_async(
        a_payment("op/lie", payment_method="tok_wrong_amount")
    )

    now = await api.payment_intents.retrieve_async(lied.id)

    assert (1350, 1250) == (lied.amount, now.amount)
    assert [1250] == await moved(sandbox, "op/lie")


async def test_the_settlement_file_and_the_api_tell_the_same(api, sandbox):
    await api.payment_intents.create_async(a_payment("op/settled"))
    settled = await control(sandbox, "/control/accounts/stripe/settlements")
    async with sandbox.control() as client:
        path = f"/control/accounts/stripe/settlements/{settled['id']}/file"
        rows = list(csv.DictReader(io.StringIO((await client.get(path)).decode())))

    told = []
    for payout in settled["payouts"].values():
        params = {"payout": payout, "limit": 100}
        told += (await api.balance_transactions.list_async(params)).data

    assert {(row["id"], row["source"], int(row["net"])) for row in rows} == {
        (line.id, line.source, line.net)
        for line in told
        if line.currency != "isk"  # the file counts in the ledger's units
    } | {(line.id, line.source, line.net // 100) for line in told if line.currency == "isk"}
    assert {"charge", "payout"} <= {line.type for line in told}


async def test_lists_are_newest_first_and_paged(api):
    made = [
        (await api.payment_intents.create_async(a_payment(f"op/list-{n}", customer="cus_l"))).id
        for n in range(5)
    ]

    first = await api.payment_intents.list_async({"customer": "cus_l", "limit": 2})
    paged = [intent.id async for intent in first.auto_paging_iter()]
    before = await api.payment_intents.list_async({"ending_before": made[0], "limit": 3})
    none = await api.payment_intents.list_async({"customer": "cus_l", "created": {"lt": 5}})

    assert made[::-1] == paged
    assert (made[1:4][::-1], True) == ([one.id for one in before.data], before.has_more)
    assert [] == none.data
