"""What a verified webhook says: about which call, how it moved, and what takes money back."""

import json
from datetime import UTC, datetime

import pytest

from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import DisputeStage, DisputeState, Notice
from tests.support.notices import (
    adyen_body,
    adyen_item,
    an_intent,
    from_adyen,
    from_stripe,
    stripe_event,
)

OPERATION = f"payments/pay_{'a' * 26}/operations/1"


@pytest.mark.parametrize(
    ("kind", "thing", "event"),
    [
        ("payment_intent.succeeded", {}, Event.SUCCEED),
        ("payment_intent.amount_capturable_updated", {"status": "requires_capture"}, Event.SUCCEED),
        ("payment_intent.processing", {"status": "processing"}, Event.PEND),
        ("payment_intent.canceled", {"status": "canceled"}, Event.CLOSE),
        ("payment_intent.requires_action", {"status": "requires_action"}, None),
        (
            "payment_intent.payment_failed",
            {
                "status": "requires_payment_method",
                "last_payment_error": {"decline_code": "stolen_card"},
            },
            Event.DECLINE_HARD,
        ),
        ("payment_intent.created", {"status": "requires_payment_method"}, None),
        ("customer.created", {}, None),
    ],
)
def test_an_intents_news_is_read(kind, thing, event):
    notice = from_stripe(stripe_event(kind, an_intent(OPERATION, **thing)))

    assert event is notice.event


def test_an_intent_that_received_less_is_about_that_much():
    thing = an_intent(OPERATION, amount_received=1000)

    assert Money(1000, "EUR") == from_stripe(stripe_event("payment_intent.succeeded", thing)).amount


@pytest.mark.parametrize(
    ("status", "event"),
    [("succeeded", Event.SUCCEED), ("failed", Event.DECLINE_HARD), ("pending", Event.PEND)],
)
def test_a_refunds_news_is_about_a_refund_or_takes_from_what_captured(status, event):
    thing = {
        "id": "re_1", "object": "refund", "amount": 300, "currency": "eur", "status": status,
        "charge": "ch_1", "payment_intent": "pi_1", "metadata": {},
    }  # fmt: skip

    notice = from_stripe(stripe_event("refund.updated", thing))

    assert (event, (Kind.REFUND,), "re_1") == (
        notice.event, notice.kinds, notice.reversal_reference,
    )  # fmt: skip
    assert ("re_1", "pi_1", "ch_1") == notice.references
    assert bool(notice.takes_from) is (status == "succeeded")


@pytest.mark.parametrize(
    ("kind", "status", "moves", "stage", "state", "withdrawn"),
    [
        ("created", "needs_response", [-1250], "CHARGEBACK", "OPEN", True),
        ("created", "warning_needs_response", [], "INQUIRY", "OPEN", False),
        ("updated", "warning_under_review", [], "INQUIRY", "CHALLENGED", False),
        ("closed", "warning_closed", [], "INQUIRY", "CANCELED", False),
        ("updated", "under_review", [-1250], "CHARGEBACK", "CHALLENGED", True),
        ("updated", "needs_response", [-1250, 1250, -1250], "CHARGEBACK", "OPEN", True),
        ("closed", "won", [-1250, 1250], "CHARGEBACK", "WON", False),
        ("closed", "lost", [-1250], "CHARGEBACK", "LOST", True),
        ("funds_withdrawn", "needs_response", [], "CHARGEBACK", "OPEN", True),
        ("funds_reinstated", "won", [], "CHARGEBACK", "WON", False),
    ],
)
def test_a_dispute_at_stripe_is_read(kind, status, moves, stage, state, withdrawn):
    thing = {
        "id": "dp_1", "object": "dispute", "amount": 1250, "currency": "eur", "status": status,
        "charge": "ch_1", "payment_intent": "pi_1", "reason": "fraudulent",
        "evidence_details": {"due_by": 1_800_000_000},
        "balance_transactions": [{"amount": amount, "fee": 15} for amount in moves],
        "payment_method_details": {"card": {"network_reason_code": "10.4"}},
    }  # fmt: skip

    news = from_stripe(stripe_event(f"charge.dispute.{kind}", thing)).dispute

    assert (stage, state, withdrawn) == (news.stage, news.state, news.funds_withdrawn)
    assert ("dp_1", "10.4", Money(1250, "EUR")) == (news.reference, news.reason_code, news.amount)
    assert datetime(2027, 1, 15, 8, tzinfo=UTC) == news.evidence_due_at
    assert (len(moves), Money(15 * len(moves), "EUR") if moves else None) == (news.moves, news.fee)


@pytest.mark.parametrize(
    ("event_code", "success", "event", "takes_back"),
    [
        ("AUTHORISATION", "true", Event.SUCCEED, False),
        ("AUTHORISATION", "false", Event.DECLINE_HARD, False),
        ("CAPTURE", "true", Event.SUCCEED, False),
        ("CAPTURE", "false", Event.DECLINE_HARD, True),
        ("CAPTURE_FAILED", "true", Event.DECLINE_HARD, True),
        ("CAPTURE_FAILED", "false", None, False),
        ("CANCELLATION", "true", Event.SUCCEED, False),
        ("CANCELLATION", "false", Event.DECLINE_HARD, False),
        ("REFUND", "true", Event.SUCCEED, True),
        ("REFUND_FAILED", "true", Event.DECLINE_HARD, True),
        ("REFUNDED_REVERSED", "true", Event.DECLINE_HARD, True),
        ("PAYOUT_THIRDPARTY", "true", Event.SUCCEED, False),
        ("PAIDOUT_REVERSED", "true", Event.DECLINE_HARD, True),
        ("REPORT_AVAILABLE", "true", None, False),
        ("NOTIFICATION_OF_FRAUD", "true", None, False),
    ],
)
def test_adyens_events_are_read(event_code, success, event, takes_back):
    item = adyen_item(event_code, OPERATION, success=success, originalReference="ORIGINAL")

    [notice] = from_adyen(adyen_body(item))

    assert event is notice.event
    assert takes_back is (notice.reversal_reference == item["pspReference"])
    assert f"{item['pspReference']}/{event_code}/{success}" == notice.event_id


@pytest.mark.parametrize(
    ("code", "stage", "state", "withdrawn"),
    [
        ("REQUEST_FOR_INFORMATION", DisputeStage.INQUIRY, DisputeState.OPEN, False),
        ("NOTIFICATION_OF_CHARGEBACK", DisputeStage.CHARGEBACK, DisputeState.OPEN, False),
        ("CHARGEBACK", DisputeStage.CHARGEBACK, DisputeState.OPEN, True),
        ("CHARGEBACK_REVERSED", DisputeStage.CHARGEBACK, DisputeState.CHALLENGED, False),
        ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", DisputeStage.CHARGEBACK, DisputeState.WON, False),
        ("INFORMATION_SUPPLIED", None, DisputeState.CHALLENGED, False),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", None, DisputeState.LOST, False),
        ("SECOND_CHARGEBACK", DisputeStage.SECOND_CHARGEBACK, DisputeState.LOST, True),
        ("PREARBITRATION_WON", DisputeStage.ARBITRATION, DisputeState.WON, False),
        ("PREARBITRATION_LOST", DisputeStage.ARBITRATION, DisputeState.LOST, True),
    ],
)
def test_a_dispute_at_adyen_is_read(code, stage, state, withdrawn):
    extra = {"chargebackReasonCode": "10.4", "defensePeriodEndsAt": "2027-01-15T09:00:00+01:00"}
    item = adyen_item(code, OPERATION, originalReference="PAYMENT", additionalData=extra)

    [notice] = from_adyen(adyen_body(item))

    news = notice.dispute
    assert (stage, state, withdrawn) == (news.stage, news.state, news.funds_withdrawn)
    assert (item["pspReference"], "10.4", ("PAYMENT",)) == (
        news.reference, news.reason_code, notice.references,
    )  # fmt: skip
    assert datetime(2027, 1, 15, 8, tzinfo=UTC) == news.evidence_due_at


def test_news_of_another_merchant_account_changes_nothing():
    item = adyen_item("AUTHORISATION", OPERATION, merchantAccountCode="Somebody")

    [notice] = from_adyen(adyen_body(item))

    assert (None, "") == (notice.event, notice.operation)


def test_a_refusal_keeps_adyens_reason():
    extra = {"refusalReasonCode": "12"}
    item = adyen_item("AUTHORISATION", OPERATION, success="false", additionalData=extra)

    [notice] = from_adyen(adyen_body(item))

    assert "INSUFFICIENT_FUNDS" == notice.decline.meaning


def test_a_notice_survives_the_inbox():
    extra = {"chargebackReasonCode": "10.4"}
    bodies = [
        adyen_item("CHARGEBACK", OPERATION, originalReference="P", additionalData=extra),
        adyen_item("REFUND_FAILED", OPERATION),
    ]

    for notice in from_adyen(adyen_body(*bodies)):
        kept = json.loads(json.dumps(notice.to_json()))
        assert notice == Notice.from_json(notice.event_id, kept)
