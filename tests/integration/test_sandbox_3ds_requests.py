"""The 3DS server's manners: keys, strict requests, outages, a restart in the middle, checkout."""

import asyncio

import pytest
from google.protobuf import json_format

from cashier.common.v1 import customer_pb2
from tests.support.three_ds import (
    DECOUPLED,
    Mailbox,
    Merchant,
    areq,
    new_key,
    three_ds_sandbox,
    written,
)

PAGE = {
    "acceptHeader": "text/html",
    "browser": {
        "userAgent": "Mozilla/5.0",
        "language": "de-AT",
        "colorDepthBits": 24,
        "screenHeightPx": 900,
        "screenWidthPx": 1440,
        "timeZoneOffsetMinutes": -60,
        "javaEnabled": False,
        "javascriptEnabled": True,
    },
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    running = three_ds_sandbox(tmp_path_factory.mktemp("tds"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def merchant(sandbox):
    async with Merchant(sandbox) as one:
        yield one


async def test_a_key_is_answered_once_and_for_all(merchant):
    name = (await merchant.begin("tok_3ds_challenge"))["threeDSServerTransID"]
    body, key = areq(name, "tok_3ds_challenge"), new_key()

    racing = [merchant.client.ask("POST", "/3ds/authenticate", body, key=key) for _ in range(5)]
    answers = await asyncio.gather(*racing)
    other = body | {"purchaseAmount": "1"}
    status, told, _ = await merchant.client.ask("POST", "/3ds/authenticate", other, key=key)
    second, _, _ = await merchant.client.ask("POST", "/3ds/authenticate", body, key=new_key())
    missing, _, _ = await merchant.client.ask("POST", "/3ds/authenticate", body)

    assert 1 == len({str(said) for _, said, _ in answers})
    assert 4 == sum(headers.get("Idempotent-Replayed") == "true" for *_, headers in answers)
    assert (409, "idempotency_mismatch") == (status, told["code"])
    assert (409, 400) == (second, missing)


@pytest.mark.parametrize(
    ("element", "value", "code"),
    [
        ("browserTZ", "west", "203"),
        ("browserColorDepth", "30", "203"),
        ("browserAcceptHeader", None, "201"),
        ("browserJavaEnabled", None, "201"),
        ("browserIP", "here", "203"),
        ("threeDSCompInd", "X", "203"),
        ("notificationURL", "javascript:alert(1)", "203"),
        ("purchaseAmount", "12.50", "203"),
        ("purchaseCurrency", "756", "203"),
        ("purchaseExponent", "0", "203"),
        ("acctNumber", "4111111111111111", "203"),
        ("acctNumber", "tok_3ds_nonsense", "305"),
        ("threeDSServerTransID", "nobody", "301"),
        ("surprise", "1", "203"),
        ("threeDSRequestorDecReqInd", "Y", "201"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_code_and_element(merchant, element, value, code):
    name = (await merchant.begin("tok_3ds_frictionless"))["threeDSServerTransID"]
    body = areq(name, "tok_3ds_frictionless") | {element: value}
    body = {name: given for name, given in body.items() if given is not None}

    status, told, _ = await merchant.client.ask("POST", "/3ds/authenticate", body, key=new_key())

    assert status in {400, 404}
    assert ("Erro", code) == (told["messageType"], told["errorCode"])
    assert "4111111111111111" not in str(told)
    if code != "301":
        assert told["field"].startswith(element[:19])


async def test_another_card_than_the_one_that_was_begun_is_refused(merchant):
    name = (await merchant.begin("tok_3ds_frictionless"))["threeDSServerTransID"]
    body = areq(name, "tok_3ds_attempt")

    status, told, _ = await merchant.client.ask("POST", "/3ds/authenticate", body, key=new_key())

    assert (409, "acctNumber") == (status, told["field"])
    assert "created" == (await merchant.result({"threeDSServerTransID": name}))["state"]


async def test_only_the_api_needs_the_key_and_a_forged_creq_opens_nothing(merchant, sandbox):
    ares = await merchant.authenticate("tok_3ds_challenge")
    path = f"{merchant.client._base}/3ds/authentications/{ares['threeDSServerTransID']}"
    forged = {"acsTransID": ares["acsTransID"], "threeDSServerTransID": "another"}

    async with merchant.browser.get(path) as answer:
        outside = answer.status
    async with merchant.browser.post(ares["acsURL"], data={"creq": written(forged)}) as answer:
        wrong = answer.status
    async with merchant.browser.post(ares["acsURL"], data={"creq": "?"}) as answer:
        nonsense = answer.status
    page = f"{merchant.client._base}/acs/challenges/{ares['acsTransID']}"
    async with merchant.browser.post(page, data={"outcome": "approve"}) as answer:
        unopened = answer.status

    assert (401, 400, 400, 400) == (outside, wrong, nonsense, unopened)
    assert not (await merchant.result(ares))["challengeOpened"]


async def test_a_rule_breaks_the_request_and_the_same_key_gets_through_later(merchant, sandbox):
    rule = {"behaviour": "500_after", "operation": "authentication", "times": 1}
    async with sandbox.control() as control:
        await control.ask("PUT", "/control/accounts/tds/rules", {"rules": [rule]})
    body, key = {"acctNumber": "tok_3ds_challenge"}, new_key()

    broken, _, _ = await merchant.client.ask("POST", "/3ds/versioning", body, key=key)
    again, told, headers = await merchant.client.ask("POST", "/3ds/versioning", body, key=key)

    assert (500, 200) == (broken, again)
    assert "true" == headers["Idempotent-Replayed"]
    assert told["threeDSServerTransID"]


async def test_a_restart_keeps_what_is_open_and_its_timers(sandbox):
    async with Merchant(sandbox) as before:
        done = await before.challenged("tok_3ds_challenge_mastercard", "approve")
        open_ = await before.authenticate("tok_3ds_challenge")
        due = await before.authenticate("tok_3ds_decoupled_approve_600", **DECOUPLED)
        was = await before.result(done)
    sandbox.kill()
    sandbox.start()

    async with Merchant(sandbox) as after, Mailbox() as box:
        async with sandbox.control() as control:
            await box.register(control)
        ares = open_ | {"acsURL": f"{after.client._base}/acs/challenge"}  # the port has changed
        await after.choose(await after.open(ares), "approve")

        assert "Y" == (await box.about(open_))[0]["transStatus"]
        assert "Y" == (await after.ended(due))["transStatus"]
        assert was == await after.result(done)


async def test_the_checkout_tells_a_device_that_the_contract_takes(sandbox):
    async with sandbox.control() as client:
        path = "/checkout?origin=http://shop.example&return_url=http://shop.example/pay"
        status, page, headers = await client.ask("GET", path)
        told = await client.post("/checkout/device", PAGE)
        odd = PAGE | {"browser": PAGE["browser"] | {"screenWidthPx": "wide"}}
        refused, fault, _ = await client.ask("POST", "/checkout/device", odd)
        wrong, _, _ = await client.ask("GET", "/checkout?origin=http://shop.example/path")

    device = json_format.ParseDict(told["device"], customer_pb2.Device())
    assert (200, 400, 400) == (status, refused, wrong)
    assert "screenWidthPx" == fault["error"]["field"]
    assert ("127.0.0.1", 1440, -60, "text/html") == (
        device.ip_address, device.browser.screen_width_px,
        device.browser.time_zone_offset_minutes, device.browser.accept_header,
    )  # fmt: skip
    assert device.fingerprint
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert b'data-origin="http://shop.example"' in page
