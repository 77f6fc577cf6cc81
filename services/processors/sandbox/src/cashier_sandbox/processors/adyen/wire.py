"""Adyen's answers about a payment as JSON."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from cashier_sandbox.domain.book import SpentKey
from cashier_sandbox.domain.charge import Charge, Payout, Status
from cashier_sandbox.domain.script import WRONG_AMOUNT_MINOR, Twist
from cashier_sandbox.processors.adyen.amounts import amount_json
from cashier_sandbox.processors.adyen.errors import echo
from cashier_sandbox.processors.adyen.reasons import advice_of, reason_of
from cashier_sandbox.processors.adyen.references import psp_reference

CREATED = 201
_RESULTS: dict[Status, str] = {
    Status.PENDING: "Pending",
    Status.AUTHORIZED: "Authorised",
    Status.SUCCEEDED: "Authorised",
    Status.VOIDED: "Cancelled",
}
# What Adyen sends along with an authorised card; the sandbox has one brand.
BRAND = "visa"


def said(request: web.Request, body: object, *, status: int = 200) -> web.Response:
    """Return a JSON answer that carries the request's key, as Adyen's do."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers=echo(request),
        content_type="application/json",
    )


def payment_json(charge: Charge) -> dict[str, Any]:
    """Return a PaymentResponse for a charge that waits for nobody's action."""
    body: dict[str, Any] = {
        "additionalData": {"paymentMethod": BRAND},
        "pspReference": psp_reference(charge.id),
        "amount": amount_json(charge.amount, charge.currency),
        "merchantReference": charge.reference,
        "paymentMethod": {"brand": BRAND, "type": "scheme"},
    }
    if charge.decline is None:
        return body | {"resultCode": _RESULTS[charge.status]}
    return body | refusal_json(body["additionalData"], charge.decline)


def refusal_json(additional: dict[str, str], decline: str) -> dict[str, Any]:
    """Return the fields of an answer that say why not."""
    reason = reason_of(decline)
    return {
        "additionalData": additional | {"refusalReasonRaw": reason.raw} | advice_of(decline),
        "resultCode": reason.result,
        "refusalReason": reason.text,
        "refusalReasonCode": reason.code,
    }


def payout_json(payout: Payout) -> dict[str, Any]:
    """Return the PayoutResponse: received, whatever comes of it; the webhook says that."""
    return {"pspReference": psp_reference(payout.id), "resultCode": "Received"}


def twisted(body: dict[str, Any], spent: SpentKey) -> dict[str, Any]:
    """Return an answer with the lie that the script asked for."""
    if spent.twist is None or "amount" not in body:
        return body
    amount = dict(body["amount"])
    match spent.twist:
        case Twist.AMOUNT:
            amount["value"] += WRONG_AMOUNT_MINOR
        case Twist.CURRENCY:
            amount["currency"] = "XTS"
        case Twist.REFERENCE:
            body = body | {"merchantReference": "somebody-else"}
    return body | {"amount": amount}
