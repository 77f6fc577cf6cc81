"""What processors take back or dispute later is told beside the outcome, in whatever order."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cashier_gateway.clients.dispute_files.read import read_disputes
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.rpc.codec import late_to_proto
from cashier_gateway.storage.filed import file_notices
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_webhooks import STRIPE, hooks
from tests.support.notices import a_reference, adyen_item, stripe_event
from tests.support.postgres_fixture import Copies, postgres

__all__ = ["hooks", "postgres"]


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


def event_id(item: dict[str, Any]) -> str:
    return f"{item['pspReference']}/{item['eventCode']}/{item['success']}"


@pytest.mark.parametrize("state", [State.DECLINED_HARD, State.DECLINED_SOFT])
async def test_a_success_on_what_was_declined_is_told_so_that_somebody_takes_it_back(hooks, state):
    call = await hooks.call(state)
    psp = a_reference()
    item = adyen_item("AUTHORISATION", call.operation, pspReference=psp)

    await hooks.adyen(item)
    await hooks.adyen(item | {"reason": "again"})

    [told] = await hooks.told(call)
    outcome = late_to_proto(told).outcome
    assert (outcome.STATE_SUCCEEDED, psp, 1250) == (
        outcome.state, outcome.processor_reference, outcome.amount.minor,
    )  # fmt: skip
    assert state is (await hooks.stands(call)).state


async def test_a_success_behind_a_closed_door_is_the_truth(hooks):
    call = await hooks.call(State.NOT_FOUND)

    await hooks.adyen(adyen_item("AUTHORISATION", call.operation))

    assert State.SUCCEEDED is (await hooks.stands(call)).state


async def test_a_refund_that_failed_later_is_a_reversal(hooks):
    call = await hooks.call(State.PENDING, Kind.REFUND, reference=(psp := a_reference()))
    items = [
        adyen_item(code, call.operation, pspReference=psp) for code in ("REFUND", "REFUND_FAILED")
    ]
    for item in items:
        await hooks.adyen(item)

    succeeded, reversed_ = await hooks.told(call)
    outcome = late_to_proto(reversed_).outcome
    assert State.SUCCEEDED is succeeded.state
    assert (outcome.STATE_REVERSED, psp) == (outcome.state, outcome.reversal_reference)
    assert State.SUCCEEDED is (await hooks.stands(call)).state


async def test_the_same_in_the_other_order_is_a_decline_and_no_success(hooks):
    call = await hooks.call(State.PENDING, Kind.REFUND, reference=(psp := a_reference()))
    for code in ("REFUND_FAILED", "REFUND"):
        await hooks.adyen(adyen_item(code, call.operation, pspReference=psp))

    [told] = await hooks.told(call)
    assert State.DECLINED_HARD is told.state
    assert [("DONE", "STALE", 1)] == await hooks.letters(f"{psp}/REFUND/true")


async def test_a_refund_that_somebody_made_elsewhere_is_a_reversal_of_the_payment(hooks):
    payment = a_reference()
    call = await hooks.call(State.SUCCEEDED, reference=payment)
    item = adyen_item("REFUND", call.operation, originalReference=payment)

    await hooks.adyen(item)

    [told] = await hooks.told(call)
    assert ("REVERSED", item["pspReference"]) == (told.told, told.reversal_reference)


async def test_a_nameless_refund_waits_while_one_of_ours_has_no_reference_yet(hooks):
    """Where a server refuses metadata our own refund looks like somebody else's."""
    intent, refund = "pi_" + a_reference(), "re_" + a_reference()
    captured = await hooks.call(State.SUCCEEDED, account=STRIPE, reference=intent)
    ours = await hooks.call(
        State.SUBMITTING, Kind.REFUND, account=STRIPE, authorization_reference=intent
    )
    thing = {
        "id": refund, "object": "refund", "amount": 1250, "currency": "eur",
        "status": "succeeded", "payment_intent": intent, "metadata": {},
    }  # fmt: skip

    await hooks.stripe(stripe_event("refund.updated", thing))
    early = await hooks.letters()
    await hooks.move(ours, Event.SUCCEED, refund)
    await hooks.take()

    assert [("WAITING", "EARLY", 1)] == early
    assert [("DONE", "KNOWN", 2)] == await hooks.letters()
    assert [] == await hooks.told(captured)


async def test_a_capture_that_failed_later_is_a_reversal_of_what_captured(hooks):
    payment = a_reference()
    call = await hooks.call(State.SUCCEEDED, reference=payment)
    item = adyen_item("CAPTURE_FAILED", call.operation, originalReference=payment)

    await hooks.adyen(item)

    [told] = await hooks.told(call)
    assert ("REVERSED", item["pspReference"]) == (told.told, told.reversal_reference)


async def test_a_dispute_is_told_and_the_call_stands(hooks):
    payment, dispute = a_reference(), a_reference()
    call = await hooks.call(State.SUCCEEDED, reference=payment)
    extra = {"chargebackReasonCode": "10.4", "defensePeriodEndsAt": "2027-01-15T09:00:00+01:00"}
    common = {"pspReference": dispute, "originalReference": payment, "additionalData": extra}

    await hooks.adyen(adyen_item("NOTIFICATION_OF_CHARGEBACK", call.operation, **common))
    await hooks.adyen(
        adyen_item(
            "CHARGEBACK", call.operation, **common, eventDate="2026-11-23T10:00:00+01:00"
        )
    )  # fmt: skip

    opened, withdrawn = [late_to_proto(late).outcome for late in await hooks.told(call)]
    assert opened.STATE_DISPUTED == opened.state == withdrawn.state
    assert (False, True) == (opened.dispute.funds_withdrawn, withdrawn.dispute.funds_withdrawn)
    assert (dispute, "10.4", 1250) == (
        withdrawn.dispute.processor_reference, withdrawn.dispute.reason_code,
        withdrawn.dispute.amount.minor,
    )  # fmt: skip
    assert 1_799_999_999 < withdrawn.dispute.evidence_due_time.seconds
    assert State.SUCCEEDED is (await hooks.stands(call)).state


async def test_older_news_of_a_dispute_is_told_with_its_time_and_replaces_nothing(hooks):
    """Ledgers need every withdrawal and return; who listens puts them in order."""
    payment, dispute = a_reference(), a_reference()
    call = await hooks.call(State.SUCCEEDED, reference=payment)
    common = {"pspReference": dispute, "originalReference": payment}
    end = adyen_item("PREARBITRATION_LOST", call.operation, **common)
    begin = adyen_item(
        "CHARGEBACK", call.operation, **common, eventDate="2026-11-01T10:00:00+01:00"
    )

    for item in (end, begin, end, begin):
        await hooks.adyen(item)

    last, first = [late_to_proto(late).outcome.dispute for late in await hooks.told(call)]
    assert (last.STATE_LOST, first.STATE_OPEN) == (last.state, first.state)
    assert first.event_time.seconds < last.event_time.seconds
    notes = await hooks.rig.as_owner("SELECT facts FROM notes WHERE operation = $1", call.operation)
    assert ["LOST"] == [json.loads(row["facts"])["state"] for row in notes]


async def test_of_one_second_what_goes_further_is_kept(hooks):
    """Adyen tells whole seconds: a chargeback and its notification often share one."""
    payment, dispute = a_reference(), a_reference()
    call = await hooks.call(State.SUCCEEDED, reference=payment)
    common = {"pspReference": dispute, "originalReference": payment}
    for code in ("CHARGEBACK", "NOTIFICATION_OF_CHARGEBACK"):
        await hooks.adyen(adyen_item(code, call.operation, **common))

    assert 2 == len(await hooks.told(call))
    (row,) = await hooks.rig.as_owner(
        "SELECT facts FROM notes WHERE operation = $1", call.operation
    )
    assert json.loads(row["facts"])["funds_withdrawn"]


async def test_a_dispute_of_a_payment_that_was_captured_by_hand_is_about_its_capture(hooks):
    intent, charge = "pi_" + a_reference(), "ch_" + a_reference()
    await hooks.call(State.SUCCEEDED, account=STRIPE, reference=intent, capture=False)
    capture = await hooks.call(
        State.SUCCEEDED, Kind.CAPTURE, account=STRIPE, authorization_reference=intent,
        reference=f"cap-{charge}",
    )  # fmt: skip
    thing = {
        "id": "dp_" + a_reference(), "object": "dispute", "amount": 1250, "currency": "eur",
        "status": "needs_response", "payment_intent": intent, "charge": charge,
    }  # fmt: skip

    await hooks.stripe(stripe_event("charge.dispute.created", thing))

    [told] = await hooks.told(capture)
    assert "DISPUTED" == told.told


async def test_what_takes_money_back_is_sealed_and_proved(hooks):
    """A note bumps the call's version, so the record stays without gaps."""
    payment = a_reference()
    call = await hooks.call(State.SUCCEEDED, reference=payment)
    for code in ("REFUND", "CAPTURE_FAILED", "CHARGEBACK"):
        await hooks.adyen(adyen_item(code, call.operation, originalReference=payment))

    rows = await hooks.rig.as_owner(
        "SELECT version, action FROM steps WHERE subject = $1 ORDER BY version", call.operation
    )

    assert [1, 2, 3, 4, 5] == [row["version"] for row in rows]
    assert ["LATE_REVERSED", "LATE_REVERSED", "LATE_DISPUTED"] == [r["action"] for r in rows[2:]]
    assert 5 == (await hooks.stands(call)).version


async def test_a_file_goes_the_way_of_a_webhook_and_tells_nothing_twice(hooks):
    intent, dispute = "pi_" + a_reference(), "dp_" + a_reference()
    call = await hooks.call(State.SUCCEEDED, account=STRIPE, reference=intent)
    thing = {
        "id": dispute, "object": "dispute", "amount": 1250, "currency": "eur",
        "status": "needs_response", "payment_intent": intent, "charge": "ch_1",
    }  # fmt: skip
    await hooks.stripe(stripe_event("charge.dispute.created", thing))

    async def imported(status):
        content = DISPUTE_FILE.format(dispute=dispute, status=status).encode()
        fresh = await file_notices(hooks.rig.database, STRIPE, read_disputes(content), content)
        await hooks.take()
        return fresh

    assert [1, 1, 0] == [
        await imported("needs_response"), await imported("lost"), await imported("lost")
    ]  # fmt: skip
    webhook, file = await hooks.told(call)
    assert ("WEBHOOK", "FILE") == (webhook.source, file.source)
    assert ("OPEN", "LOST") == (webhook.dispute.state, file.dispute.state)


async def test_a_dispute_of_nothing_that_we_know_waits_for_a_person(hooks):
    content = DISPUTE_FILE.format(dispute="dp_nobodys", status="lost").encode()
    (notice,) = read_disputes(content)

    await file_notices(hooks.rig.database, STRIPE, [notice], content)
    await hooks.take()

    assert [("DEAD", "UNMATCHED", 1)] == await hooks.letters(notice.event_id)


DISPUTE_FILE = (
    "id,amount,charge_id,created,currency,evidence_details_due_by,reason,status,_fivetran_synced\n"
    "{dispute},1250,ch_1,2026-01-02 03:04:05,eur,,general,{status},2099-02-03\n"
)
