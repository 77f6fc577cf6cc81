"""The 3DS server over HTTP: every status, what ends a challenge, and who is believed."""

import asyncio

import aiohttp
import pytest

from tests.support.three_ds import (
    DECOUPLED,
    Mailbox,
    Merchant,
    areq,
    new_key,
    read,
    three_ds_sandbox,
    written,
)


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


@pytest.fixture
async def control(sandbox):
    async with sandbox.control() as client:
        await client.post("/control/reset", {"ledger": True})
        yield client


@pytest.fixture
async def mailbox(control):
    async with Mailbox() as box:
        await box.register(control)
        yield box


def essence(told):
    names = ("transStatus", "transStatusReason", "challengeCancel", "eci")
    return tuple(told.get(name, "") for name in names)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("frictionless", ("Y", "", "", "05")),
        ("frictionless_mastercard", ("Y", "", "", "02")),
        ("attempt_amex", ("A", "", "", "06")),
        ("attempt_mastercard", ("A", "", "", "01")),
        ("denied", ("N", "01", "", "07")),
        ("denied_82_mastercard", ("N", "82", "", "00")),
        ("rejected", ("R", "11", "", "07")),
        ("unavailable", ("U", "22", "", "07")),
        ("informational_mastercard", ("I", "", "", "06")),
    ],
)
async def test_what_needs_no_cardholder_is_answered_at_once_and_fetched_the_same(
    merchant, card, expected
):
    ares = await merchant.authenticate(f"tok_3ds_{card}")
    result = await merchant.result(ares)

    assert expected == essence(ares) == essence(result)
    assert "completed" == result["state"]
    assert ("authenticationValue" in ares) is (ares["transStatus"] in {"Y", "A", "I"})
    assert ares.get("authenticationValue") == result.get("authenticationValue")
    assert 3 == len({ares[f"{who}TransID"] for who in ("threeDSServer", "ds", "acs")})


@pytest.mark.parametrize(
    ("outcome", "expected", "cres"),
    [
        ("approve", ("Y", "", "", "05"), "Y"),
        ("fail", ("N", "01", "", "07"), "N"),
        ("cancel", ("N", "", "01", "07"), "N"),
    ],
)
async def test_a_challenge_ends_as_the_cardholder_chose(merchant, mailbox, outcome, expected, cres):
    ares = await merchant.authenticate("tok_3ds_challenge")
    before = await merchant.result(ares)
    page = await merchant.choose(await merchant.open(ares, "ses<sion"), outcome)
    [rreq] = await mailbox.about(ares)
    result = await merchant.result(ares)

    assert ("C", "challenge") == (before["transStatus"], before["state"])
    assert expected == essence(rreq) == essence(result)
    assert rreq.get("authenticationValue") == result.get("authenticationValue")
    told = read(page.partition('name="cres" value="')[2].partition('"')[0])
    assert (cres, "CRes", ares["acsTransID"]) == (
        told["transStatus"], told["messageType"], told["acsTransID"],
    )  # fmt: skip
    assert 'value="ses&lt;sion"' in page
    assert "authenticationValue" not in told


async def test_walking_away_decides_nothing(merchant):
    ares = await merchant.authenticate("tok_3ds_challenge")
    address = await merchant.open(ares)

    page = await merchant.choose(address, "leave")

    assert "cres" not in page
    assert "challenge" == (await merchant.result(ares))["state"]
    assert "Y" == essence(await decided(merchant, ares, address))[0]


async def decided(merchant, ares, address):
    await merchant.choose(address, "approve")
    return await merchant.ended(ares)


async def test_the_first_choice_stands_and_the_second_window_is_told_so(merchant, mailbox):
    ares = await merchant.authenticate("tok_3ds_challenge")
    first, second = await merchant.open(ares), await merchant.open(ares)
    await merchant.choose(first, "approve")

    page = await merchant.choose(second, "cancel")

    told = read(page.partition('name="cres" value="')[2].partition('"')[0])
    assert "Y" == told["transStatus"] == (await merchant.result(ares))["transStatus"]
    assert 1 == (await merchant.result(ares))["results"] == len(await mailbox.about(ares))


@pytest.mark.parametrize("code", ["01", "03", "04", "05", "06", "08"])
async def test_a_challenge_that_nobody_finishes_says_which_way(merchant, mailbox, code):
    ares = await merchant.authenticate(f"tok_3ds_cancel_{code}_10")
    if code != "05":  # which is that no CReq ever came
        await merchant.open(ares)

    [rreq] = await mailbox.about(ares)

    assert ("N", code) == (rreq["transStatus"], rreq["challengeCancel"])
    assert essence(rreq) == essence(await merchant.ended(ares))
    assert "authenticationValue" not in rreq


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("decoupled_approve_10_mastercard", ("Y", "", "", "02")),
        ("decoupled_deny_10", ("N", "01", "", "07")),
        ("decoupled_timeout_10", ("N", "26", "03", "07")),
    ],
)
async def test_a_decoupled_authentication_ends_without_a_page(merchant, mailbox, card, expected):
    ares = await merchant.authenticate(f"tok_3ds_{card}", **DECOUPLED)

    [rreq] = await mailbox.about(ares)

    assert ("D", "Y", "Y") == tuple(
        ares[name] for name in ("transStatus", "acsDecConInd", "acsChallengeMandated")
    )
    assert "acsURL" not in ares
    assert expected == essence(rreq) == essence(await merchant.result(ares))


async def test_the_control_api_sends_a_result_and_one_more_that_changes_nothing(
    merchant, control, mailbox
):
    ares = await merchant.authenticate("tok_3ds_decoupled", **DECOUPLED)
    path = f"/control/authentications/{ares['threeDSServerTransID']}/result"
    timed_out = {"transStatus": "N", "transStatusReason": "14", "challengeCancel": "04"}

    early, _, _ = await control.ask("POST", path, {"transStatus": "Y", "again": True})
    await control.post(path, timed_out)
    late, _, _ = await control.ask("POST", path, {"transStatus": "Y"})
    await control.post(path, {"transStatus": "Y", "again": True})

    first, second = await mailbox.about(ares, count=2)
    assert (409, 409) == (early, late)
    assert [("N", "14", "04", "07"), ("Y", "", "", "05")] == [essence(first), essence(second)]
    assert essence(first) == essence(await merchant.result(ares))


@pytest.mark.parametrize(("card", "told"), [("duplicate", ["Y", "Y"]), ("conflict", ["Y", "N"])])
async def test_a_result_comes_twice_the_same_or_another(merchant, mailbox, card, told):
    ares = await merchant.challenged(f"tok_3ds_{card}", "approve")

    rreqs = await mailbox.about(ares, count=2)

    assert told == [rreq["transStatus"] for rreq in rreqs]
    assert "Y" == (await merchant.result(ares))["transStatus"]
    assert (rreqs[0] == rreqs[1]) is (card == "duplicate")


async def test_a_late_result_leaves_the_browser_ahead_of_the_truth(merchant, mailbox):
    ares = await merchant.authenticate("tok_3ds_late_150")
    page = await merchant.choose(await merchant.open(ares), "approve")
    meanwhile = await merchant.result(ares)

    [rreq] = await mailbox.about(ares)

    assert 'name="cres"' in page
    assert "C" == meanwhile["transStatus"]
    assert "Y" == rreq["transStatus"] == (await merchant.result(ares))["transStatus"]


async def test_a_broken_challenge_posts_an_error_message(merchant):
    ares = await merchant.authenticate("tok_3ds_challenge_error")
    page = await merchant.choose(await merchant.open(ares), "approve")

    told = read(page.partition('name="cres" value="')[2].partition('"')[0])

    assert ("Erro", "A") == (told["messageType"], told["errorComponent"])
    assert ("U", "22", "06", "07") == essence(await merchant.result(ares))


async def test_a_dead_page_and_a_slow_one(merchant):
    dead = await merchant.authenticate("tok_3ds_challenge_dead")
    slow = await merchant.authenticate("tok_3ds_challenge_slow_120")
    loop = asyncio.get_running_loop()

    with pytest.raises(aiohttp.ClientError):
        await merchant.open(dead)
    before = loop.time()
    await merchant.open(slow)

    assert loop.time() - before >= 0.12
    assert "challenge" == (await merchant.result(dead))["state"]


async def test_a_directory_server_that_does_not_answer_is_an_error_message(merchant):
    timeout = await merchant.authenticate("tok_3ds_areq_timeout_50")
    broken = await merchant.authenticate("tok_3ds_error")
    first = await merchant.authenticate("tok_3ds_unavailable_once.here")
    second = await merchant.authenticate("tok_3ds_unavailable_once.here")

    assert ("Erro", "402", "D") == tuple(
        timeout[name] for name in ("messageType", "errorCode", "errorComponent")
    )
    assert ("Erro", "404") == (broken["messageType"], broken["errorCode"])
    assert "error" == (await merchant.result(timeout))["state"]
    assert ("U", "Y") == (first["transStatus"], second["transStatus"])


async def test_the_method_page_reports_and_the_browser_that_is_known_needs_no_challenge(merchant):
    done = "http://127.0.0.1:9/done"
    card = "tok_3ds_method_slow_60"
    versions = await merchant.begin(card, threeDSMethodNotificationURL=done)
    form = {"threeDSMethodData": versions["threeDSMethodData"]}
    async with merchant.browser.post(versions["threeDSMethodURL"], data=form) as response:
        page = await response.text()
    name = versions["threeDSServerTransID"]
    known = areq(name, card, threeDSCompInd="Y")

    ares = await merchant.client.post("/3ds/authenticate", known, key=new_key())

    assert f'action="{done}"' in page
    assert {"threeDSServerTransID": name} == read(
        page.partition('name="threeDSMethodData" value="')[2].partition('"')[0]
    )
    assert "Y" == ares["transStatus"]
    assert "C" == (await merchant.authenticate(card, threeDSCompInd="N"))["transStatus"]


async def test_a_dead_method_page_and_a_card_that_is_not_enrolled(merchant):
    dead = await merchant.begin("tok_3ds_method_dead")
    unknown = await merchant.begin("tok_3ds_not_enrolled")
    asked = {
        "threeDSServerTransID": dead["threeDSServerTransID"],
        "threeDSMethodNotificationURL": "http://127.0.0.1:9/",
    }

    with pytest.raises(aiohttp.ClientError):
        await merchant.browser.post(
            dead["threeDSMethodURL"], data={"threeDSMethodData": written(asked)}
        )

    assert unknown["highestCommonSupportedProtocolVersion"] is None
    assert "2.2.0" == dead["highestCommonSupportedProtocolVersion"]
