"""Webhooks are verified as their processors document it, and hostile ones are told why not."""

import json
import time

import pytest
import stripe

from cashier_common.money import Money
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import NoticeFault, NoticeRefused
from tests.support.notices import (
    ADYEN_KEY,
    MERCHANT_ACCOUNT,
    STRIPE_SECRET,
    adyen_body,
    adyen_item,
    an_intent,
    from_adyen,
    from_stripe,
    stripe_event,
    stripe_headers,
)

OPERATION = f"payments/pay_{'a' * 26}/operations/1"


def test_what_stripes_own_library_accepts_is_accepted():
    body = stripe_event("payment_intent.succeeded", an_intent(OPERATION))
    headers = stripe_headers(body)

    stripe.Webhook.construct_event(body, headers["Stripe-Signature"], STRIPE_SECRET)
    notice = from_stripe(body, headers)

    assert (Event.SUCCEED, OPERATION, Money(1250, "EUR")) == (
        notice.event, notice.operation, notice.amount,
    )  # fmt: skip


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
