"""Payments at the imitation of Adyen: each answer once per key, and no doubt that lies."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from tests.support.adyen_library import (
    API_KEY,
    Library,
    a_payment,
    base_url,
    euros,
    inbox,
    ledger,
    running_adyen,
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_adyen(tmp_path_factory.mktemp("adyen")) as running:
        yield running


@pytest.fixture
async def adyen(sandbox):
    yield Library(base_url(sandbox))
    async with sandbox.control() as control:
        await control.post("/control/reset")


async def post(sandbox, path, body, *, key="", secret=API_KEY):
    """A request without the library, for what it hides: headers and broken connections."""
    headers = {"X-API-Key": secret} | ({"Idempotency-Key": key} if key else {})
    async with (
        aiohttp.ClientSession() as session,
        session.post(base_url(sandbox) + path, json=body, headers=headers) as response,
    ):
        return response.status, await response.json(), response.headers


async def moved(sandbox, reference):
    return [entry["moved"] for entry in await ledger(sandbox, f"reference={reference}&moved=true")]


async def test_a_repeat_with_its_key_brings_the_first_answer_and_charges_once(adyen, sandbox):
    first = await adyen.pay("twice")
    again = await adyen.pay("twice")

    assert (200, "Authorised") == (first[0], first[1]["resultCode"])
    assert first == again
    assert len(first[1]["pspReference"]) == 16
    assert [1250] == await moved(sandbox, "ref-twice")


async def test_an_answer_carries_the_key_of_its_request(sandbox):
    _, _, headers = await post(sandbox, "/v71/payments", a_payment("echo"), key="echo")
    _, _, bare = await post(sandbox, "/v71/payments", a_payment("bare"))

    assert "echo" == headers["Idempotency-Key"]
    assert "Idempotency-Key" not in bare


async def test_requests_without_a_key_are_two_payments(sandbox):
    body = a_payment("keyless")
    first = await post(sandbox, "/v71/payments", body)
    second = await post(sandbox, "/v71/payments", body)

    assert first[1]["pspReference"] != second[1]["pspReference"]
    assert [1250, 1250] == await moved(sandbox, "ref-keyless")


async def test_a_key_with_another_body_is_refused_for_good(adyen, sandbox):
    await adyen.pay("reused")
    body = a_payment("reused", amount=euros(1))
    status, answer, headers = await post(sandbox, "/v71/payments", body, key="reused")

    assert (422, "704") == (status, answer["errorCode"])
    assert "transient-error" not in headers
    assert [1250] == await moved(sandbox, "ref-reused")


async def test_a_repeat_while_the_first_is_at_work_may_try_again(adyen, sandbox):
    body = a_payment("slow", token="tok_held_1")
    first = asyncio.create_task(post(sandbox, "/v71/payments", body, key="slow"))
    await asyncio.sleep(0.3)
    status, answer, headers = await post(sandbox, "/v71/payments", body, key="slow")
    done = await first
    again = await post(sandbox, "/v71/payments", body, key="slow")

    assert (409, "704", "true") == (status, answer["errorCode"], headers["transient-error"])
    assert done[1] == again[1]
    assert [1250] == await moved(sandbox, "ref-slow")


async def test_a_lost_answer_comes_back_with_the_key(adyen, sandbox):
    body = a_payment("lost", token="tok_lost_answer")
    with pytest.raises(aiohttp.ClientError):
        await post(sandbox, "/v71/payments", body, key="lost")
    status, answer, _ = await post(sandbox, "/v71/payments", body, key="lost")

    assert (200, "Authorised") == (status, answer["resultCode"])
    assert [1250] == await moved(sandbox, "ref-lost")


@pytest.mark.parametrize(
    ("token", "result", "code", "advice"),
    [
        ("tok_decline_soft", "Refused", "9", "02"),
        ("tok_decline_insufficient_funds", "Refused", "12", ""),
        ("tok_decline_hard", "Refused", "2", ""),
        ("tok_stolen", "Refused", "5", "03"),
        ("tok_decline_fraudulent", "Refused", "20", "03"),
        ("tok_decline_processing_error", "Error", "4", "02"),
    ],
)
async def test_a_refusal_says_why_in_adyens_words(adyen, sandbox, token, result, code, advice):
    status, answer = await adyen.pay(token, token=token)

    assert (200, result, code) == (status, answer["resultCode"], answer["refusalReasonCode"])
    assert advice == answer["additionalData"].get("merchantAdviceCode", "")[:2]
    assert [] == await moved(sandbox, f"ref-{token}")


@pytest.mark.parametrize(
    ("currency", "value", "minor"),
    [("EUR", 10, 10), ("JPY", 10, 10), ("KWD", 10, 10), ("CLP", 1000, 10), ("ISK", 1000, 10),
     ("IDR", 10, 1000)],
)  # fmt: skip
async def test_amounts_are_in_adyens_units_outside_and_in_isos_inside(
    adyen, sandbox, currency, value, minor
):
    amount = {"value": value, "currency": currency}
    _, answer = await adyen.pay(f"units-{currency}", amount=amount)

    assert amount == answer["amount"]
    assert [minor] == await moved(sandbox, f"ref-units-{currency}")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": {"value": 150, "currency": "CLP"}}, 422, "137"),
        ({"amount": {"value": 0, "currency": "EUR"}}, 422, "137"),
        ({"amount": {"value": 10.5, "currency": "EUR"}}, 422, "137"),
        ({"amount": {"value": 10, "currency": "XXX"}}, 422, "138"),
        ({"amount": None}, 422, "100"),
        ({"reference": None}, 422, "130"),
        ({"returnUrl": None}, 422, "14_030"),
        ({"merchantAccount": "somebody-else"}, 403, "901"),
        ({"paymentMethod": {"type": "ideal"}}, 500, "905"),
        ({"paymentMethod": None}, 422, "14_004"),
        ({"paymentMethod": {"type": "scheme", "storedPaymentMethodId": "tok_none"}}, 422, "803"),
        ({"paymentMethod": {"type": "scheme", "number": "4111111111111111"}}, 422, "101"),
        ({"paymentMethod": {"type": "scheme", "encryptedCardNumber": "test_4111111111111111"}},
         422, "101"),
        ({"surprise": 1}, 422, "702"),
        ({"captureDelayHours": 24}, 422, "702"),
        ({"recurringProcessingModel": "Subscription"}, 422, "14_005"),
    ],
)  # fmt: skip
async def test_a_broken_request_is_refused_and_does_nothing(adyen, sandbox, change, status, code):
    before = len(await ledger(sandbox))
    answer = await adyen.pay("broken", **change)

    assert (status, code) == (answer[0], answer[1]["errorCode"])
    assert before == len(await ledger(sandbox))


async def test_a_card_number_reaches_neither_the_answer_nor_a_file(adyen, sandbox):
    pan = "4111111111111111"
    _, answer = await adyen.pay(
        "pan", paymentMethod={"type": "scheme", "encryptedCardNumber": f"test_{pan}"}
    )
    _, other = await adyen.pay("pan2", reference=f"order {pan}")

    assert pan not in str(answer) + str(other)
    assert pan not in sandbox.log() + sandbox.ledger_path.read_text()


async def test_a_wrong_key_is_told_nothing_else(sandbox):
    status, answer, _ = await post(sandbox, "/v71/payments", {}, secret="somebody else's")

    assert (401, "000", "security") == (status, answer["errorCode"], answer["errorType"])


async def test_a_payer_who_is_redirected_comes_back_with_a_result(adyen, sandbox):
    _, answer = await adyen.pay("redirect", token="tok_action_required")
    url = answer["action"]["url"]
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data={"outcome": "approve"}, allow_redirects=False) as page,
    ):
        back = urlsplit(page.headers["Location"])
    result = parse_qs(back.query)["redirectResult"][0]
    _, done = await adyen.details({"redirectResult": result})
    again = await adyen.details({"redirectResult": result})

    assert ("RedirectShopper", "GET") == (answer["resultCode"], answer["action"]["method"])
    assert "pspReference" not in answer  # Adyen gives it with the details
    assert ("shop.example", "1") == (back.hostname, parse_qs(back.query)["order"][0])
    assert ("Authorised", "ref-redirect") == (done["resultCode"], done["merchantReference"])
    assert (200, done) == again
    assert [1250] == await moved(sandbox, "ref-redirect")


async def test_a_native_challenge_has_two_steps_and_can_be_denied(adyen, sandbox):
    native = {"authenticationData": {"threeDSRequestData": {"nativeThreeDS": "preferred"}}}
    _, first = await adyen.pay("native", token="tok_action_required", **native)
    _, second = await adyen.details({"threeDSResult": first["action"]["token"]})
    async with (
        aiohttp.ClientSession() as session,
        session.post(second["action"]["url"], json={"outcome": "deny"}) as page,
    ):
        result = (await page.json())["threeDSResult"]
    _, done = await adyen.details({"threeDSResult": result})

    assert ("IdentifyShopper", "ChallengeShopper") == (first["resultCode"], second["resultCode"])
    assert ("Refused", "11") == (done["resultCode"], done["refusalReasonCode"])
    assert [] == await moved(sandbox, "ref-native")


async def test_a_forged_result_finishes_nothing(adyen, sandbox):
    await adyen.pay("forged", token="tok_action_required")
    status, answer = await adyen.details({"redirectResult": "Y2hfMS5hcHByb3ZlLmFiYw=="})

    assert (422, "101") == (status, answer["errorCode"])
    assert [] == await moved(sandbox, "ref-forged")


async def test_a_shopper_who_is_absent_is_asked_to_do_nothing(adyen):
    _, answer = await adyen.pay(
        "absent",
        token="tok_action_required",
        shopperReference="shopper-1",
        shopperInteraction="ContAuth",
        recurringProcessingModel="UnscheduledCardOnFile",
    )

    assert ("Refused", "38") == (answer["resultCode"], answer["refusalReasonCode"])


async def test_a_pending_payment_is_told_by_webhook_when_it_ends(adyen, sandbox):
    async with inbox(sandbox) as box:
        _, answer = await adyen.pay("pending", token="tok_pending_1")
        early = box.items("AUTHORISATION")
        item = await box.wait("AUTHORISATION", answer["pspReference"])

    assert ("Pending", []) == (answer["resultCode"], early)
    assert ("true", "ref-pending") == (item["success"], item["merchantReference"])


async def test_an_outage_that_does_nothing_says_so(adyen, sandbox):
    async with sandbox.control() as control:
        await control.post("/control/accounts/*/outage", {"mode": "http_503"})
    status, answer, headers = await post(sandbox, "/v71/payments", a_payment("out"), key="out")

    assert (503, "703", "true") == (status, answer["errorCode"], headers["transient-error"])
    assert [] == await moved(sandbox, "ref-out")


async def test_a_restart_forgets_no_key(tmp_path):
    with running_adyen(tmp_path) as sandbox:
        first = await Library(base_url(sandbox)).pay("kept")
        sandbox.kill()
        sandbox.start()
        again = await Library(base_url(sandbox)).pay("kept")

        assert first == again
        assert [1250] == await moved(sandbox, "ref-kept")
