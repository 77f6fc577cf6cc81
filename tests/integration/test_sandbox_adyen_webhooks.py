"""What the imitation of Adyen tells by webhook: signed, repeated, in its own order, and true."""

import asyncio
from collections import Counter

import pytest
from Adyen.util import is_valid_hmac_notification

from tests.support.adyen_library import (
    HMAC_KEY,
    Library,
    base_url,
    charge_id,
    euros,
    held,
    inbox,
    ledger,
    running_adyen,
)

REFUNDS = 100


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_adyen(tmp_path_factory.mktemp("adyen")) as running:
        yield running


@pytest.fixture
async def adyen(sandbox):
    yield Library(base_url(sandbox))
    async with sandbox.control() as control:
        await control.post("/control/reset")


@pytest.fixture
async def box(sandbox):
    async with inbox(sandbox) as opened:
        yield opened


async def paid(adyen, key, **changes):
    status, answer = await adyen.pay(key, **changes)
    assert 200 == status, answer
    return answer["pspReference"]


async def test_adyens_own_validator_accepts_the_signature_and_notices_a_change(adyen, box):
    psp = await paid(adyen, "signed", reference="payments/pay_1/operations/1")
    await box.wait("AUTHORISATION", psp)
    message = box.messages[-1]
    changed = {**message["notificationItems"][0]["NotificationRequestItem"], "success": "false"}

    assert is_valid_hmac_notification(message, HMAC_KEY)
    assert not is_valid_hmac_notification(changed, HMAC_KEY)
    assert not is_valid_hmac_notification(message, HMAC_KEY[::-1])
    assert "false" == message["live"]


async def test_a_capture_is_received_at_once_and_done_by_webhook(adyen, box, sandbox):
    psp = await paid(adyen, "capture", **held("capture"))
    status, answer = await adyen.modify("captures", psp, "c1", amount=euros(400))
    item = await box.wait("CAPTURE", answer["pspReference"])

    assert (201, "received", psp) == (status, answer["status"], answer["paymentPspReference"])
    assert answer["pspReference"] != psp
    assert (psp, "ref-c1", "true") == (
        item["originalReference"], item["merchantReference"], item["success"],
    )  # fmt: skip
    assert [400] == [entry["moved"] for entry in await ledger(sandbox, "reference=ref-c1")]


async def test_too_much_captured_is_received_too_and_refused_by_webhook(adyen, box, sandbox):
    psp = await paid(adyen, "greedy", **held("greedy"))
    _, answer = await adyen.modify("captures", psp, "c2", amount=euros(1251))
    item = await box.wait("CAPTURE", answer["pspReference"])

    assert ("false", "Insufficient balance on payment") == (item["success"], item["reason"])
    assert [0] == [entry["moved"] for entry in await ledger(sandbox, "reference=ref-c2")]


async def test_a_refused_modification_keeps_its_key(adyen, box, sandbox):
    psp = await paid(adyen, "kept")
    first = await adyen.modify("refunds", psp, "r-kept", amount=euros(9999))
    again = await adyen.modify("refunds", psp, "r-kept", amount=euros(9999))
    other = await adyen.modify("refunds", psp, "r-kept", amount=euros(1))
    await box.wait("REFUND", first[1]["pspReference"])
    await asyncio.sleep(0.2)

    assert first == again
    assert (422, "704") == (other[0], other[1]["errorCode"])
    assert 1 == len(box.items("REFUND", first[1]["pspReference"]))


async def test_a_cancel_releases_and_a_captured_payment_cannot_be_cancelled(adyen, box):
    one, two = await paid(adyen, "v1", **held("v1")), await paid(adyen, "v2")
    _, first = await adyen.modify("cancels", one, "cancel-1")
    _, second = await adyen.modify("cancels", two, "cancel-2")
    done = await box.wait("CANCELLATION", first["pspReference"])
    refused = await box.wait("CANCELLATION", second["pspReference"])

    assert ("true", euros(1250)) == (done["success"], done["amount"])
    assert "false" == refused["success"]


async def test_a_reversal_cancels_or_refunds_and_says_which(adyen, box, sandbox):
    one, two = await paid(adyen, "x1", **held("x1")), await paid(adyen, "x2")
    _, first = await adyen.modify("reversals", one, "reversal-1")
    _, second = await adyen.modify("reversals", two, "reversal-2")
    cancelled = await box.wait("CANCEL_OR_REFUND", first["pspReference"])
    refunded = await box.wait("CANCEL_OR_REFUND", second["pspReference"])

    assert "cancel" == cancelled["additionalData"]["modification.action"]
    assert "refund" == refunded["additionalData"]["modification.action"]
    moved = [entry["moved"] for entry in await ledger(sandbox, "reference=ref-reversal-2")]
    assert [-1250] == moved


async def test_a_payment_can_be_cancelled_by_our_own_reference(adyen, box):
    await paid(adyen, "mine", **held("mine"))
    status, done = await adyen.cancel_by_reference("ref-mine", "t1")
    _, nothing = await adyen.cancel_by_reference("ref-nobody", "t2")
    found = await box.wait("TECHNICAL_CANCEL", done["pspReference"])
    lost = await box.wait("TECHNICAL_CANCEL", nothing["pspReference"])

    assert (201, "received") == (status, done["status"])
    assert ("true", "false") == (found["success"], lost["success"])
    assert "Transaction not found" == lost["reason"]


async def test_a_modification_of_no_payment_is_refused_at_once(adyen):
    status, answer = await adyen.modify("refunds", "0000000000000000", "r0", amount=euros(1))

    assert (422, "167") == (status, answer["errorCode"])


async def test_a_hundred_parallel_refunds_never_give_back_more_than_was_captured(
    adyen, box, sandbox
):
    psp = await paid(adyen, "hundred")
    answers = await asyncio.gather(
        *(
            adyen.modify("refunds", psp, f"h{number}", amount=euros(50), reference="ref-hundred")
            for number in range(REFUNDS)
        )
    )
    await box.wait("REFUND", count=REFUNDS)
    told = Counter(item["success"] for item in box.items("REFUND"))
    entries = await ledger(sandbox, "reference=ref-hundred&moved=true")

    assert {201} == {status for status, _ in answers}
    assert REFUNDS == len({answer["pspReference"] for _, answer in answers})
    assert {"true": 25, "false": 75} == told
    assert 0 == sum(entry["moved"] for entry in entries)


async def test_a_refund_of_what_was_never_captured_is_refused_by_webhook(adyen, box):
    psp = await paid(adyen, "never", **held("never"))
    _, answer = await adyen.modify("refunds", psp, "r-never", amount=euros(1))
    item = await box.wait("REFUND", answer["pspReference"])

    assert "Transaction hasn't been captured, refund not possible" == item["reason"]


async def test_a_refund_can_wait_and_be_refused_by_the_bank(adyen, box, sandbox):
    psp = await paid(adyen, "bank")
    async with sandbox.control() as control:
        rule = {"behaviour": "pending_decline_1", "operation": "refund"}
        await control.ask("PUT", "/control/accounts/*/rules", {"rules": [rule]})
    _, answer = await adyen.modify("refunds", psp, "r-bank", amount=euros(1250))
    early = box.items("REFUND")
    item = await box.wait("REFUND", answer["pspReference"])

    assert [] == early
    assert "false" == item["success"]
    assert [] == await ledger(sandbox, "reference=ref-r-bank&moved=true")


async def test_a_payout_is_received_and_told_by_webhook(adyen, box, sandbox):
    status, answer = await adyen.pay_out("p1")
    done = await box.wait("PAYOUT_THIRDPARTY", answer["pspReference"])
    _, refused = await adyen.pay_out("p2", selectedRecurringDetailReference="tok_decline_hard")
    told = await box.wait("PAYOUT_THIRDPARTY", refused["pspReference"])

    assert (200, "Received", "Received") == (status, answer["resultCode"], refused["resultCode"])
    assert ("true", "false") == (done["success"], told["success"])
    assert [-500] == [entry["moved"] for entry in await ledger(sandbox, "reference=ref-p1")]


async def test_disputes_are_told_step_by_step(adyen, box, sandbox):
    psp = await paid(adyen, "dispute")
    name = await charge_id(sandbox, "ref-dispute")
    async with sandbox.control() as control:
        asked = await control.post(f"/control/charges/{name}/request_for_information")
        dispute = f"/control/chargebacks/{asked['id']}"
        await control.post(f"/control/charges/{name}/fraud_report")
        await control.post(f"{dispute}/evidence")
        await control.post(f"{dispute}/escalate")
        await box.wait("CHARGEBACK")
        await control.post(f"{dispute}/resolve", {"outcome": "win"})
        await box.wait("ISSUER_RESPONSE_TIMEFRAME_EXPIRED")
        await control.post(f"{dispute}/escalate")
        await control.post(f"{dispute}/resolve", {"outcome": "lose"})
        await box.wait("PREARBITRATION_LOST")
    items = [item for item in box.items() if item["originalReference"] == psp]
    entries = await ledger(sandbox, f"charge={name}&moved=true")

    expected = {
        "REQUEST_FOR_INFORMATION",
        "NOTIFICATION_OF_FRAUD",
        "INFORMATION_SUPPLIED",
        "NOTIFICATION_OF_CHARGEBACK",
        "CHARGEBACK",
        "CHARGEBACK_REVERSED",
        "ISSUER_RESPONSE_TIMEFRAME_EXPIRED",
        "SECOND_CHARGEBACK",
        "PREARBITRATION_LOST",
    }
    assert expected == {item["eventCode"] for item in items}
    assert {"ref-dispute"} == {item["merchantReference"] for item in items}
    assert [1250, -1250, 1250, -1250] == [entry["moved"] for entry in entries]


@pytest.mark.parametrize(
    ("what", "event"),
    [("captures", "CAPTURE_FAILED"), ("refunds", "REFUND_FAILED"), ("payouts", "PAIDOUT_REVERSED")],
)
async def test_what_succeeded_can_fail_at_the_bank(adyen, box, sandbox, what, event):
    reference = f"ref-late-{what}"
    if what == "payouts":
        await adyen.pay_out(f"late-{what}")
    else:
        psp = await paid(adyen, f"late-{what}", **held("late"))
        await adyen.modify("captures", psp, f"lc-{what}", amount=euros(700), reference=reference)
    if what == "refunds":
        reference = "ref-late-back"
        await adyen.modify("refunds", psp, "lr", amount=euros(300), reference=reference)
    kind = what.removesuffix("s")
    done = (await ledger(sandbox, f"kind={kind}&reference={reference}"))[0]
    async with sandbox.control() as control:
        await control.post(f"/control/{what}/{done['id']}/fail")
        twice, _, _ = await control.ask("POST", f"/control/{what}/{done['id']}/fail", {})
    item = await box.wait(event)
    entries = await ledger(sandbox, f"reference={reference}&moved=true")

    assert ("true", reference) == (item["success"], item["merchantReference"])
    assert 0 == sum(entry["moved"] for entry in entries)
    assert 0 == sum(entry["fee"] for entry in entries if what == "captures")
    assert 409 == twice


async def test_a_webhook_that_nobody_took_comes_again(adyen, box):
    box.refuses = 2
    psp = await paid(adyen, "again")
    await box.wait("AUTHORISATION", psp)

    assert 2 == box.refused
