"""The challenge page, the method frame and the checkout page in a real headless Chromium."""

import httpx
import pytest
from google.protobuf import json_format

from cashier.common.v1 import customer_pb2
from tests.support.chromium import WAIT_MS, chromium_path, running_chromium
from tests.support.three_ds import areq, three_ds_sandbox
from tests.support.three_ds_shop import open_shop

CARD = "tok_3ds_challenge"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    chromium_path()  # without a browser there is nothing to start
    running = three_ds_sandbox(tmp_path_factory.mktemp("tds"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def chromium(sandbox):
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def shop(sandbox):
    with open_shop(sandbox) as one:
        yield one


@pytest.fixture
def tab(chromium):
    """A tab of a browser that nobody used before; what its policy forbids fails the test."""
    context = chromium.new_context()
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    forbidden = []
    page.on(
        "console",
        lambda said: "Content Security Policy" in said.text and forbidden.append(said.text),
    )
    yield page
    context.close()
    assert [] == forbidden


def at_the_bank(shop, tab, ares):
    """Bring a tab to the challenge page."""
    tab.goto(shop.challenge_page(ares))
    tab.click("text=Pay")
    tab.wait_for_selector("text=Approve")


def test_a_challenge_in_a_frame_is_approved(shop, tab):
    ares = shop.authenticate(CARD)
    tab.goto(shop.challenge_page(ares, framed=True))
    tab.click("text=Pay")
    bank = tab.frame_locator("iframe")
    shown = bank.locator("#amount").inner_text()
    bank.locator("text=Approve").click()
    bank.locator("text=Thanks").wait_for()

    [cres] = shop.messages()
    assert "12.50 EUR" == shown
    assert ("Y", "Y") == (cres["transStatus"], shop.result(ares)["transStatus"])
    assert "c2Vzc2lvbg" == shop.told("/back")[0]["threeDSSessionData"]


@pytest.mark.long
@pytest.mark.parametrize(("button", "told"), [("Wrong code", ("N", "")), ("Cancel", ("N", "01"))])
def test_a_challenge_is_failed_or_cancelled(shop, tab, button, told):
    ares = shop.authenticate(CARD)
    at_the_bank(shop, tab, ares)
    tab.click(f"text={button}")
    tab.wait_for_selector("text=Thanks")

    result = shop.result(ares)

    assert told == (result["transStatus"], result.get("challengeCancel", ""))
    assert ["N"] == [cres["transStatus"] for cres in shop.messages()]


@pytest.mark.long
def test_a_browser_that_is_closed_after_approval_changes_nothing_of_the_result(shop, tab):
    ares = shop.authenticate(CARD)
    at_the_bank(shop, tab, ares)
    tab.route("**/back", lambda route: route.abort())  # the way back is never gone

    with tab.expect_request("**/back"):
        tab.click("text=Approve")
    tab.close()

    assert "Y" == shop.result(ares)["transStatus"]
    assert [] == shop.told("/back", wait_s=0.2)


@pytest.mark.long
def test_a_tab_that_is_reloaded_goes_on_where_it_was(shop, tab):
    ares = shop.authenticate(CARD)
    at_the_bank(shop, tab, ares)
    tab.reload()
    tab.click("text=Approve")
    tab.wait_for_selector("text=Thanks")

    assert "Y" == shop.result(ares)["transStatus"]
    assert 1 == shop.result(ares)["results"] == len(shop.told("/back"))


@pytest.mark.long
def test_the_back_button_asks_nothing_again(shop, tab):
    ares = shop.authenticate(CARD)
    at_the_bank(shop, tab, ares)
    tab.click("text=Wrong code")
    tab.wait_for_selector("text=Thanks")
    tab.go_back()
    tab.wait_for_selector("text=Back to the shop")

    assert 0 == tab.locator("text=Approve").count()
    tab.click("text=Back to the shop")
    tab.wait_for_selector("text=Thanks")
    assert ["N", "N"] == [cres["transStatus"] for cres in shop.messages()]
    assert 1 == shop.result(ares)["results"]


@pytest.mark.long
def test_of_two_tabs_the_first_decides(shop, tab):
    ares = shop.authenticate(CARD)
    other = tab.context.new_page()
    at_the_bank(shop, tab, ares)
    at_the_bank(shop, other, ares)
    other.click("text=Approve")
    other.wait_for_selector("text=Thanks")
    tab.click("text=Cancel")
    tab.wait_for_selector("text=Thanks")

    assert ["Y", "Y"] == [cres["transStatus"] for cres in shop.messages()]
    assert ("Y", 1) == (shop.result(ares)["transStatus"], shop.result(ares)["results"])


@pytest.mark.long
def test_who_walks_away_can_come_back(shop, tab):
    ares = shop.authenticate(CARD)
    at_the_bank(shop, tab, ares)
    tab.click("text=Walk away")
    tab.wait_for_selector("text=You have left")
    left = shop.result(ares)["state"]
    at_the_bank(shop, tab, ares)
    tab.click("text=Approve")
    tab.wait_for_selector("text=Thanks")

    assert ("challenge", "Y") == (left, shop.result(ares)["transStatus"])


@pytest.mark.long
def test_the_page_of_an_imitated_processor_leads_back_to_the_shop(shop, tab, sandbox):
    body = {
        "amount": "1250",
        "currency": "eur",
        "payment_method": "pm_card_threeDSecure2Required",
        "payment_method_types[]": "card",
        "confirm": "true",
        "return_url": f"{shop.url}/returned",
    }
    address = f"http://127.0.0.1:{sandbox.ports['stripe']}/v1/payment_intents"
    key = ("key-of-account-stripe", "")
    intent = httpx.post(address, data=body, auth=key).json()
    tab.goto(intent["next_action"]["redirect_to_url"]["url"])
    tab.click("text=Approve")
    tab.wait_for_url(f"{shop.url}/returned*")

    after = httpx.get(f"{address}/{intent['id']}", auth=key).json()

    assert "succeeded" == after["status"]


@pytest.mark.long
def test_the_method_frame_reports_by_itself(shop, tab):
    card = "tok_3ds_method"
    versions = shop.begin(card)
    fields = {"threeDSMethodData": versions["threeDSMethodData"]}
    tab.goto(shop.form_page(versions["threeDSMethodURL"], fields, framed=True))
    tab.click("text=Pay")

    done = shop.told("/method-done")
    body = areq(versions["threeDSServerTransID"], card, threeDSCompInd="Y")
    ares = shop.ask("POST", "/3ds/authenticate", body)

    assert 1 == len(done)
    assert "Y" == ares["transStatus"]


@pytest.mark.long
def test_the_checkout_tells_the_page_that_framed_it_what_the_browser_is(shop, tab, sandbox):
    checkout = f"http://127.0.0.1:{sandbox.control_port}/checkout"
    tab.goto(shop.serve_opener(checkout))
    tab.wait_for_function("window.told")
    told = tab.evaluate("window.told")
    size, agent = tab.frames[1].evaluate("[screen.width, navigator.userAgent]")

    device = json_format.ParseDict(told["device"], customer_pb2.Device())

    assert "cashier.device" == told["type"]
    assert (size, agent) == (device.browser.screen_width_px, device.browser.user_agent)
    assert device.browser.javascript_enabled
    assert device.browser.accept_header.startswith("text/html")
    assert "127.0.0.1" == device.ip_address


@pytest.mark.long
def test_the_checkout_posts_the_device_where_it_was_asked_to(shop, tab, sandbox):
    checkout = f"http://127.0.0.1:{sandbox.control_port}/checkout"
    tab.goto(f"{checkout}?return_url={shop.url}/paid")
    tab.click("text=Pay")
    tab.wait_for_selector("text=Thanks")

    [form] = shop.told("/paid")
    device = json_format.Parse(form["device"], customer_pb2.Device())
    assert device.session_hash
    assert device.fingerprint.startswith("dev_")
