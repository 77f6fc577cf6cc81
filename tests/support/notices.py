"""Webhooks as their processors make them: signed by the processors' own libraries."""

import itertools
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from Adyen.util import generate_notification_sig
from stripe import WebhookSignature

from cashier_gateway.clients.adyen.notices import read_notices as read_adyen
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.clients.stripe.notices import read_notices as read_stripe
from cashier_gateway.domain.notice import Notice

ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
OLD_ADYEN_KEY = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"
STRIPE_SECRET = "whsec_of_this_test"
OLD_STRIPE_SECRET = "whsec_of_last_month"
MERCHANT_ACCOUNT = "CashierECOM"

_numbers = itertools.count(1)


def a_reference() -> str:
    """A pspReference that no other test uses."""
    return f"T{time.time_ns() % 10**9:09d}{next(_numbers):06d}"


def adyen_item(event: str, operation: str, **changes: Any) -> dict[str, Any]:
    """A NotificationRequestItem over 12.50 EUR that succeeded, without its signature."""
    facts = {
        "additionalData": {},
        "amount": {"currency": "EUR", "value": 1250},
        "eventCode": event,
        "eventDate": "2026-11-22T10:00:00+01:00",
        "merchantAccountCode": MERCHANT_ACCOUNT,
        "merchantReference": operation,
        "pspReference": a_reference(),
        "reason": "",
        "success": "true",
    }
    return facts | changes


def adyen_body(*items: dict[str, Any], key: str = ADYEN_KEY) -> bytes:
    """The message with each item signed by Adyen's own library."""
    wrapped = []
    for item in items:
        plain = {name: value for name, value in item.items() if name != "additionalData"}
        signature = generate_notification_sig(plain, key).decode()
        extra = {**item.get("additionalData", {}), "hmacSignature": signature}
        wrapped.append({"NotificationRequestItem": {**item, "additionalData": extra}})
    return json.dumps({"live": "false", "notificationItems": wrapped}).encode()


def stripe_event(kind: str, thing: dict[str, Any], **changes: Any) -> bytes:
    """An event about one object."""
    event = {
        "id": f"evt_{time.time_ns()}{next(_numbers)}",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": thing},
    }
    return json.dumps(event | changes).encode()


def stripe_headers(
    body: bytes, *secrets: str, at: int | None = None, scheme: str = "v1"
) -> dict[str, str]:
    """The header that Stripe's own library accepts, with one signature for each secret."""
    moment = int(time.time()) if at is None else at
    signed = f"{moment}.{body.decode()}"
    told = [
        f"{scheme}={WebhookSignature._compute_signature(signed, secret)}"
        for secret in secrets or (STRIPE_SECRET,)
    ]
    return {"Stripe-Signature": ",".join([f"t={moment}", *told])}


def an_intent(operation: str, **changes: Any) -> dict[str, Any]:
    """A PaymentIntent over 12.50 EUR that succeeded."""
    facts = {
        "id": f"pi_{time.time_ns()}{next(_numbers)}",
        "object": "payment_intent",
        "amount": 1250,
        "amount_received": 1250,
        "currency": "eur",
        "capture_method": "automatic",
        "latest_charge": f"ch_{time.time_ns()}{next(_numbers)}",
        "metadata": {"cashier_operation": operation},
        "status": "succeeded",
    }
    return facts | changes


def from_stripe(
    body: bytes,
    headers: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (STRIPE_SECRET,),
) -> Notice:
    """What the gateway reads in one of Stripe's webhooks; NoticeRefused."""
    told = stripe_headers(body) if headers is None else headers
    codes = load_codes("stripe")
    [notice] = read_stripe(told, body, secrets=secrets, now=datetime.now(UTC), codes=codes)
    return notice


def from_adyen(body: bytes, keys: tuple[str, ...] = (ADYEN_KEY,)) -> tuple[Notice, ...]:
    """What the gateway reads in one of Adyen's webhooks; NoticeRefused."""
    return read_adyen(
        body,
        keys=tuple(bytes.fromhex(key) for key in keys),
        merchant_account=MERCHANT_ACCOUNT,
        codes=load_codes("adyen"),
    )
