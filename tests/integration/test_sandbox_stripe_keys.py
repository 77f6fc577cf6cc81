"""The imitation of Stripe keeps Stripe's promises about keys, and no more than them."""

import asyncio

import aiohttp
import pytest
import stripe

from tests.support.sandbox_stripe import (
    SECRET,
    a_payment,
    base_url,
    keyed,
    moved,
    running_stripe,
    stripe_client,
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture
async def intents(sandbox):
    async with stripe_client(sandbox) as client:
        yield client.v1.payment_intents


async def post(sandbox, path, body, key=None, secret=SECRET):
    """A request without the library: (status, body, headers)."""
    headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": key} if key else {})
    async with (
        aiohttp.ClientSession() as session,
        session.post(base_url(sandbox) + path, data=body, headers=headers) as answered,
    ):
        return answered.status, await answered.read(), answered.headers


async def test_a_repeat_with_the_key_gets_the_first_answer_word_for_word(sandbox):
    body = {"amount": "1250", "currency": "eur", "payment_method": "tok_ok", "confirm": "true"}
    body |= {"metadata[cashier_operation]": "op/same"}

    first = await post(sandbox, "/v1/payment_intents", body, "same")
    again = await post(sandbox, "/v1/payment_intents", body, "same")

    assert first[:2] == again[:2]
    assert ("true", "same") == (
        again[2]["Idempotent-Replayed"],
        again[2]["Idempotency-Key"],
    )
    assert "Idempotent-Replayed" not in first[2]
    assert [1250] == await moved(sandbox, "op/same")


async def test_a_key_with_other_parameters_is_an_idempotency_error(sandbox, intents):
    await intents.create_async(a_payment("op/other"), keyed("other"))

    with pytest.raises(stripe.IdempotencyError) as caught:
        await intents.create_async(a_payment("op/other", amount=1251), keyed("other"))

    assert 400 == caught.value.http_status
    assert [1250] == await moved(sandbox, "op/other")


async def test_a_key_with_another_path_is_an_idempotency_error(sandbox, intents):
    held = await intents.create_async(a_payment("op/path", capture_method="manual"), keyed("path"))

    with pytest.raises(stripe.IdempotencyError):
        await intents.capture_async(held.id, {}, keyed("path"))

    assert [] == await moved(sandbox, "op/path")


async def test_a_key_at_work_is_refused_at_once(sandbox, intents):
    asked = a_payment("op/busy", payment_method="tok_held_1")
    first = asyncio.create_task(intents.create_async(asked, keyed("busy")))
    await asyncio.sleep(0.3)

    with pytest.raises(stripe.APIError) as caught:
        await intents.create_async(asked, keyed("busy"))
    paid = await first

    assert (409, "idempotency_key_in_use") == (
        caught.value.http_status,
        caught.value.error.code,
    )
    assert paid.id == (await intents.create_async(asked, keyed("busy"))).id
    assert [1250] == await moved(sandbox, "op/busy")


async def test_fifty_at_once_with_one_key_charge_once(sandbox, intents):
    asked = a_payment("op/fifty", payment_method="tok_held_1")

    async def ask():
        try:
            return (await intents.create_async(asked, keyed("fifty"))).id
        except stripe.APIError as error:
            return error.error.code

    answers = set(await asyncio.gather(*(ask() for _ in range(50))))

    assert {"idempotency_key_in_use"} < answers
    assert 2 == len(answers)
    assert [1250] == await moved(sandbox, "op/fifty")


async def test_a_lost_answer_comes_back_with_the_key(sandbox, intents):
    asked = a_payment("op/lost", payment_method="tok_lost_answer")

    with pytest.raises(stripe.APIConnectionError):
        await intents.create_async(asked, keyed("lost"))
    paid = await intents.create_async(asked, keyed("lost"))
    [found] = (
        await intents.search_async({"query": "metadata['cashier_operation']:'op/lost'"})
    ).data

    assert ("succeeded", found.id) == (paid.status, paid.id)
    assert [1250] == await moved(sandbox, "op/lost")


@pytest.mark.parametrize(("token", "charged"), [("tok_500_after", [1250]), ("tok_500_before", [])])
async def test_a_failure_is_the_keys_answer_for_ever(sandbox, intents, token, charged):
    """Stripe keeps a 500 as it keeps a success: only a look-up tells them apart."""
    operation, key = f"op/{token}", keyed(token)

    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            await intents.create_async(a_payment(operation, payment_method=token), key)
        assert 500 == caught.value.http_status

    assert "true" == caught.value.headers["Idempotent-Replayed"]
    assert charged == await moved(sandbox, operation)
    query = {"query": f"metadata['cashier_operation']:'{operation}'"}
    assert len(charged) == len((await intents.search_async(query)).data)


async def test_a_decline_is_the_keys_answer_too(sandbox, intents):
    asked = a_payment("op/declined", payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")

    seen = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            await intents.create_async(asked, keyed("declined"))
        seen.append(caught.value)

    assert ["insufficient_funds"] * 2 == [error.error.decline_code for error in seen]
    assert seen[0].error.payment_intent.id == seen[1].error.payment_intent.id
    assert "requires_payment_method" == seen[1].error.payment_intent.status


async def test_what_was_refused_before_it_began_does_not_spend_its_key(sandbox, intents):
    for changes in ({"amount": 1}, {"payment_method": "pm_nobody"}, {"nonsense": "1"}):
        with pytest.raises(stripe.InvalidRequestError):
            await intents.create_async(a_payment("op/again", **changes), keyed("again"))

    await intents.create_async(a_payment("op/again"), keyed("again"))

    assert [1250] == await moved(sandbox, "op/again")


async def test_rate_limits_and_outages_do_not_spend_a_key(sandbox, intents):
    asked = a_payment("op/limited", payment_method="tok_rate_limited_1")
    with pytest.raises(stripe.RateLimitError):
        await intents.create_async(asked, keyed("limited"))

    await intents.create_async(asked, keyed("limited"))

    assert [1250] == await moved(sandbox, "op/limited")


async def test_a_refusal_by_state_is_kept(sandbox, intents):
    """The work had begun, so the same key never captures, even when the state would allow it."""
    bare = await intents.create_async({"amount": 1250, "currency": "eur"})
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await intents.capture_async(bare.id, {}, keyed("too-early"))
        await intents.retrieve_async(bare.id)

    assert "payment_intent_unexpected_state" == caught.value.code
    assert bare.id == caught.value.error.payment_intent.id
    assert "true" == caught.value.headers["Idempotent-Replayed"]


async def test_keys_survive_a_crash(tmp_path):
    with running_stripe(tmp_path) as sandbox:
        async with stripe_client(sandbox) as client:
            intents = client.v1.payment_intents
            paid = await intents.create_async(a_payment("op/crash"), keyed("crash"))
            with pytest.raises(stripe.APIError):
                await intents.create_async(
                    a_payment("op/crash-500", payment_method="tok_500_after"), keyed("crash-500")
                )
        sandbox.kill()
        sandbox.start()
        async with stripe_client(sandbox) as client:
            intents = client.v1.payment_intents
            again = await intents.create_async(a_payment("op/crash"), keyed("crash"))
            with pytest.raises(stripe.APIError):
                await intents.create_async(
                    a_payment("op/crash-500", payment_method="tok_500_after"), keyed("crash-500")
                )

        assert (paid.to_dict(), paid.client_secret) == (again.to_dict(), again.client_secret)
        assert [1250] == await moved(sandbox, "op/crash")
        assert [1250] == await moved(sandbox, "op/crash-500")


async def test_a_wrong_secret_opens_nothing(sandbox):
    status, body, _ = await post(sandbox, "/v1/payment_intents", {}, secret="sk_test_wrong")

    assert (401, True) == (status, b"invalid_request_error" in body)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"amount=1" + b"&a=1" * 401, 400, "at most 400"),
        (b"a[b][c][d][e][f]=1", 400, "nested deeper than 5"),
        (b"metadata[x]=" + b"y" * 5_001, 400, "longer than 5000"),
        (b"amount=99&currency=eur&metadata[x]=" + b"y" * 501, 400, "at most 500"),
        (b"amount[=1", 400, "cannot be read"),
        (b"amount=%FF", 400, "cannot be read"),
        (b"description=a%00b", 400, "control characters"),
        (b"description=4242424242424242", 400, "card number"),
        (b"description=" + b"y" * 200_000, 413, "128 KiB"),
        (b"amount=5&amount=6", 400, "given twice"),
        (b"amount=1e3&currency=eur", 400, "Invalid integer"),
        (b"amount=-5&currency=eur", 400, "positive"),
        (b"amount=999999999&currency=eur", 400, "no more than"),
        (b"amount=1005&currency=kwd", 400, "last digit"),
        (b'{"amount":1250}', 400, "must be"),
    ],
)
async def test_hostile_input_is_refused_by_name(sandbox, body, status, told):
    kind = "application/json" if body.startswith(b"{") else "application/x-www-form-urlencoded"
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": kind}
    url = base_url(sandbox) + "/v1/payment_intents"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as answered,
    ):
        text = await answered.text()

    assert (status, True) == (answered.status, told in text), text
