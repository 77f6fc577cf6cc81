"""Webhooks are verified as their processors document it, and hostile ones are told why not."""

import json
import time
from datetime import UTC, datetime

import pytest
import stripe

from cashier_common.money import Money
from cashier_gateway.clients.adyen.notices import read_notices as read_adyen
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.clients.stripe.notices import read_notices as read_stripe
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import (
    DisputeStage,
    DisputeState,
    Notice,
    NoticeFault,
    NoticeRefused,
)
from tests.support.notices import (
    ADYEN_KEY,
    MERCHANT_ACCOUNT,
    OLD_ADYEN_KEY,
    OLD_STRIPE_SECRET,
    STRIPE_SECRET,
    adyen_body,
    adyen_item,
    an_intent,
    stripe_event,
    stripe_headers,
)

STRIPE, ADYEN = load_codes("stripe"), load_codes("adyen")
OPERATION = f"payments/pay_{'a' * 26}/operations/1"
HOSTILE = [
    b"",
    b"\x00\xff",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"notificationItems":[]}',
    b'{"notificationItems":{"NotificationRequestItem":{}}}',
    b'{"notificationItems":[{"NotificationRequestItem":{}}]}',
    b'{"notificationItems":[{"NotificationRequestItem":null}]}',
    b'{"id":"evt_1","type":"charge.refunded","data":null}',
    b'{"id":1,"type":2,"data":{"object":{}}}',
    b'{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":[]}}',
]


def from_stripe(body: bytes, headers=None, secrets=(STRIPE_SECRET,)) -> Notice:
    told = stripe_headers(body) if headers is None else headers
    [notice] = read_stripe(told, body, secrets=secrets, now=datetime.now(UTC), codes=STRIPE)
    return notice


def from_adyen(body: bytes, keys=(ADYEN_KEY,)) -> tuple[Notice, ...]:
    return read_adyen(
        body,
        keys=tuple(bytes.fromhex(key) for key in keys),
        merchant_account=MERCHANT_ACCOUNT,
        codes=ADYEN,
    )


def test_what_stripes_own_library_accepts_is_accepted():
    body = stripe_event("payment_intent.succeeded", an_intent(OPERATION))
    headers = stripe_headers(body)

    stripe.Webhook.construct_event(body, headers["Stripe-Signature"], STRIPE_SECRET)
    notice = from_stripe(body, headers)

    assert (Event.SUCCEED, OPERATION, Money(1250, "EUR")) == (
        notice.event, notice.operation, notice.amount,
    )  # fmt: skip


def test_two_secrets_live_while_one_is_being_changed():
    body = stripe_event("payment_intent.succeeded", an_intent(OPERATION))
    both = (STRIPE_SECRET, OLD_STRIPE_SECRET)

    for signed_with in (both[:1], both[1:], both):
        assert from_stripe(body, stripe_headers(body, *signed_with), both).event is Event.SUCCEED
    item = adyen_body(adyen_item("AUTHORISATION", OPERATION), key=OLD_ADYEN_KEY)
    assert from_adyen(item, (ADYEN_KEY, OLD_ADYEN_KEY))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {},
        lambda _: {"Stripe-Signature": ""},
        lambda body: {"Stripe-Signature": "v1=abc"},
        lambda body: {"Stripe-Signature": "t=now,v1=abc"},
        lambda body: {"Stripe-Signature": "t=1,t=2,v1=abc"},
        lambda body: {"Stripe-Signature": f"t={'9' * 5_000},v1=\udcff"},
        lambda body: stripe_headers(body, "whsec_forged"),
        lambda body: stripe_headers(body + b" "),
        lambda body: stripe_headers(body, at=int(time.time()) - 301),
        lambda body: stripe_headers(body, at=int(time.time()) + 310),
        lambda body: stripe_headers(body, scheme="v0"),
    ],
    ids=[
        *(
            "absent",
            "empty",
            "no_time",
            "no_number",
            "two_times",
            "hostile",
            "forged",
            "other_body",
        ),
        *("old", "early", "old_scheme"),
    ],
)
def test_what_is_not_stripes_or_not_now_is_refused(change):
    body = stripe_event("payment_intent.succeeded", an_intent(OPERATION))

    with pytest.raises(NoticeRefused) as refused:
        from_stripe(body, change(body))

    assert NoticeFault.UNVERIFIED is refused.value.fault
    assert STRIPE_SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "field",
    ["pspReference", "merchantReference", "originalReference", "merchantAccountCode", "eventCode"],
)
def test_a_signed_field_of_adyens_cannot_be_changed(field):
    message = json.loads(adyen_body(adyen_item("AUTHORISATION", OPERATION)))
    message["notificationItems"][0]["NotificationRequestItem"][field] = "CHARGEBACK"

    with pytest.raises(NoticeRefused) as refused:
        from_adyen(json.dumps(message).encode())

    assert NoticeFault.UNVERIFIED is refused.value.fault


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"currency": "EUR", "value": 1}},
        {"amount": {"currency": "USD", "value": 1250}},
        {"success": "false"},
        {"additionalData": {}},
        {"additionalData": {"hmacSignature": ""}},
        {"additionalData": {"hmacSignature": "ÿ"}},
        {"additionalData": None},
        {"amount": {"currency": "EUR", "value": 1250.0}},
        {"amount": {"currency": "EUR", "value": 10**30}},
        {"success": True},
        {"pspReference": None},
        {"eventCode": 7},
    ],
)
def test_an_altered_item_of_adyens_is_refused(change):
    message = json.loads(adyen_body(adyen_item("AUTHORISATION", OPERATION)))
    message["notificationItems"][0]["NotificationRequestItem"] |= change

    with pytest.raises(NoticeRefused) as refused:
        from_adyen(json.dumps(message).encode())

    assert ADYEN_KEY not in str(refused.value)


def test_characters_cannot_move_from_one_signed_field_to_the_next():
    """The separator is not escaped in what Adyen signs."""
    true = adyen_item("AUTHORISATION", f"{OPERATION}:x", originalReference="")
    message = json.loads(adyen_body(true))
    item = message["notificationItems"][0]["NotificationRequestItem"]
    item["merchantReference"] = "x"
    item["merchantAccountCode"] = f"{MERCHANT_ACCOUNT}:{OPERATION}"

    with pytest.raises(NoticeRefused):
        from_adyen(json.dumps(message).encode())


def test_one_bad_item_spoils_the_message():
    good, bad = adyen_item("AUTHORISATION", OPERATION), adyen_item("AUTHORISATION", OPERATION)
    message = json.loads(adyen_body(good, bad))
    message["notificationItems"][1]["NotificationRequestItem"]["success"] = "false"

    with pytest.raises(NoticeRefused):
        from_adyen(json.dumps(message).encode())


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_body_is_refused_in_a_sentence(body):
    for read in (lambda: from_adyen(body), lambda: from_stripe(body, {})):
        with pytest.raises(NoticeRefused):
            read()


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_body_with_a_true_signature_is_unreadable(body):
    text = body if body.isascii() else b"not utf-8"

    with pytest.raises(NoticeRefused) as refused:
        from_stripe(text, stripe_headers(text))

    assert NoticeFault.UNREADABLE is refused.value.fault


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
        ("updated", "under_review", [-1250], "CHARGEBACK", "CHALLENGED", True),
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
        "balance_transactions": [{"amount": amount} for amount in moves],
        "payment_method_details": {"card": {"network_reason_code": "10.4"}},
    }  # fmt: skip

    news = from_stripe(stripe_event(f"charge.dispute.{kind}", thing)).dispute

    assert (stage, state, withdrawn) == (news.stage, news.state, news.funds_withdrawn)
    assert ("dp_1", "10.4", Money(1250, "EUR")) == (news.reference, news.reason_code, news.amount)
    assert datetime(2027, 1, 15, 8, tzinfo=UTC) == news.evidence_due_at


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
