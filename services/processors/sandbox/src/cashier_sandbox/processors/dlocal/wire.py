"""dLocal's answers as JSON: payments, captures, refunds, payouts, orders."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from cashier_sandbox.domain.book import SpentKey
from cashier_sandbox.domain.charge import Capture, Charge, Payout, Refund, Status
from cashier_sandbox.domain.script import WRONG_AMOUNT_MINOR, Twist
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.dlocal.amounts import number
from cashier_sandbox.processors.dlocal.reasons import DETAILS, code_of
from cashier_sandbox.processors.dlocal.references import dlocal_id
from cashier_sandbox.processors.dlocal.ticket import OXXO, PIX, page, ticket_json

CARD = "CARD"
TICKETS = frozenset({PIX, OXXO})
_STATUSES = {
    "1": "PENDING", "2": "PAID", "3": "REJECTED", "4": "CANCELLED", "5": "EXPIRED",
    "6": "AUTHORIZED",
}  # fmt: skip


def said(body: object) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def payment_json(desk: Desk, charge: Charge) -> dict[str, Any]:
    """Return the Payment that a charge is; an authorization stays one, whatever is captured."""
    told, method = charge.metadata, charge.metadata["method"]
    body: dict[str, Any] = {
        "id": dlocal_id(charge.id),
        "amount": number(charge.amount, charge.currency),
        "currency": charge.currency,
        "country": told["country"],
        "payment_method_id": method,
        "payment_method_type": "TICKET" if method in TICKETS else CARD,
        "payment_method_flow": told["flow"],
        "order_id": charge.reference,
        "created_date": _date(charge.created_at),
        **_standing(_code(charge)),
    }
    if method == CARD:
        body["card"] = {"brand": "VI", "last4": "1111", "installments": told["installments"]}
    elif told["flow"] == "REDIRECT":
        body["redirect_url"] = page(desk, charge)
    else:
        body["ticket"] = ticket_json(desk, charge)
    if body["status_code"] == "101":
        body["three_dsecure"] = {"redirect_url": page(desk, charge)}
    return body


def capture_json(charge: Charge, capture: Capture) -> dict[str, Any]:
    """Return the Payment that a capture is."""
    return {
        "id": dlocal_id(capture.id),
        "authorization_id": dlocal_id(charge.id),
        "amount": number(capture.amount, charge.currency),
        "currency": charge.currency,
        "country": charge.metadata["country"],
        "order_id": capture.reference,
        "created_date": _date(capture.created_at),
        **_standing("200"),
    }


def order_json(desk: Desk, charge: Charge, capture: Capture | None) -> dict[str, Any]:
    """Return the Order of a payment or capture: what stands under the merchant's own id."""
    whole = capture_json(charge, capture) if capture else payment_json(desk, charge)
    shown = ("order_id", "currency", "amount", "created_date")
    standing = ("status", "status_code", "status_detail")
    return {name: whole[name] for name in shown + standing} | {"payment_id": whole["id"]}


def refund_json(refund: Refund) -> dict[str, Any]:
    """Return a Refund; an external one names the whole payment."""
    status, code = _REFUNDS[refund.status]
    return {
        "id": dlocal_id(refund.id),
        "payment_id": refund.metadata.get("payment_id", dlocal_id(refund.charge)),
        "amount": number(refund.amount, refund.currency),
        "currency": refund.currency,
        "status": status,
        "status_code": code,
        "status_detail": f"The refund {_SAID[code]}.",
        "created_date": _date(refund.created_at),
        "order_refund_id": refund.reference,
    }


def payout_json(payout: Payout) -> dict[str, Any]:
    """Return a Payout."""
    status, code = _PAYOUTS[payout.status]
    return {
        "id": dlocal_id(payout.id),
        "external_id": payout.reference,
        "amount": number(payout.amount, payout.currency),
        "currency": payout.currency,
        "country": payout.metadata.get("country", ""),
        "payment_method_id": payout.metadata.get("method", ""),
        "status": status,
        "status_code": str(code),
        "status_detail": f"The payout {_SAID[code]}.",
        "created_date": _date(payout.created_at),
    }


def twisted(body: dict[str, Any], minor: int, spent: SpentKey, *, named: str) -> dict[str, Any]:
    """Return an answer over `minor` with the lie that the script asked for."""
    match spent.twist:
        case Twist.AMOUNT:
            return body | {"amount": number(minor + WRONG_AMOUNT_MINOR, body["currency"])}
        case Twist.CURRENCY:
            return body | {"currency": "XTS"}
        case Twist.REFERENCE:
            return body | {named: "somebody-else"}
    return body


_SAID = {100: "is pending", 200: "was paid", 300: "was rejected"}
_REFUNDS = {
    Status.PENDING: ("PENDING", 100),
    Status.SUCCEEDED: ("SUCCESS", 200),
    Status.DECLINED: ("REJECTED", 300),
}
_PAYOUTS = _REFUNDS | {Status.SUCCEEDED: ("PAID", 200)}


def _code(charge: Charge) -> str:
    match charge.status:
        case Status.DECLINED:
            return code_of(charge.decline or "")
        case Status.EXPIRED:
            return "500"
        case Status.REQUIRES_ACTION:
            return "101" if charge.metadata["method"] == CARD else "100"
        case Status.PENDING:
            return "100"
        case Status.VOIDED:
            return "400"
    if charge.capture:
        return "200"
    return "400" if charge.amount_voided else "600"


def _standing(code: str) -> dict[str, str]:
    return {
        "status": _STATUSES[code[0]],
        "status_code": code,
        "status_detail": DETAILS[code],
    }


def _date(at: str) -> str:
    return f"{at[:23]}+0000"
