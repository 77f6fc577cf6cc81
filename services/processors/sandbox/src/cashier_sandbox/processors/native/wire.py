"""The charges API's objects as JSON: README §1 in code."""

from __future__ import annotations

from typing import Any

from cashier_sandbox.domain.book import SpentKey
from cashier_sandbox.domain.charge import Charge, Payout, Refund, Resource, Status
from cashier_sandbox.domain.declines import DECLINES, NOT_PAID
from cashier_sandbox.domain.dispute import Chargeback
from cashier_sandbox.domain.entry import Entry, Kind
from cashier_sandbox.domain.script import WRONG_AMOUNT_MINOR, Twist
from cashier_sandbox.flows.close_key import KeyState
from cashier_sandbox.flows.desk import Desk


def charge_json(desk: Desk, charge: Charge) -> dict[str, Any]:
    """Return a Charge."""
    action = None
    if charge.status is Status.REQUIRES_ACTION:
        action = {"type": "redirect", "url": f"{desk.base_url}/challenges/{charge.id}"}
    return {
        "object": "charge",
        "id": charge.id,
        "status": charge.status,
        "amount": charge.amount,
        "currency": charge.currency,
        "amount_captured": charge.amount_captured,
        "amount_voided": charge.amount_voided,
        "amount_refunded": charge.amount_refunded,
        "amount_charged_back": charge.amount_charged_back,
        "fee": charge.fee,
        "token": charge.token,
        "reference": charge.reference,
        "capture": charge.capture,
        "metadata": charge.metadata,
        "decline": _decline_json(charge.decline),
        "action": action,
        "captures": [
            {
                "id": capture.id,
                "amount": capture.amount,
                "reference": capture.reference,
                "created_at": capture.created_at,
            }
            for capture in charge.captures
        ],
        "created_at": charge.created_at,
    }


def refund_json(refund: Refund) -> dict[str, Any]:
    """Return a Refund."""
    return {
        "object": "refund",
        "id": refund.id,
        "status": refund.status,
        "charge": refund.charge,
        "amount": refund.amount,
        "currency": refund.currency,
        "reference": refund.reference,
        "metadata": refund.metadata,
        "decline": _decline_json(refund.decline),
        "created_at": refund.created_at,
    }


def payout_json(payout: Payout) -> dict[str, Any]:
    """Return a Payout."""
    return {
        "object": "payout",
        "id": payout.id,
        "status": payout.status,
        "amount": payout.amount,
        "currency": payout.currency,
        "destination": payout.destination,
        "fee": payout.fee,
        "reference": payout.reference,
        "metadata": payout.metadata,
        "decline": _decline_json(payout.decline),
        "created_at": payout.created_at,
    }


def chargeback_json(chargeback: Chargeback) -> dict[str, Any]:
    """Return a chargeback."""
    return {
        "object": "chargeback",
        "id": chargeback.id,
        "charge": chargeback.charge,
        "amount": chargeback.amount,
        "fee": chargeback.fee,
        "currency": chargeback.currency,
        "reason": chargeback.reason,
        "reference": chargeback.reference,
        "status": chargeback.status,
        "stage": chargeback.stage,
        "moves": chargeback.moves,
        "created_at": chargeback.created_at,
    }


def resource_json(desk: Desk, resource: Resource) -> dict[str, Any]:
    """Return a Charge, a Refund or a Payout."""
    match resource:
        case Charge():
            return charge_json(desk, resource)
        case Refund():
            return refund_json(resource)
        case Payout():
            return payout_json(resource)


def spent_json(desk: Desk, spent: SpentKey) -> dict[str, Any]:
    """Return what a key was first answered, with the lie that the script asked for."""
    body = resource_json(desk, spent.resource)
    match spent.twist:
        case Twist.AMOUNT:
            body["amount"] += WRONG_AMOUNT_MINOR
            if body.get("amount_captured"):
                body["amount_captured"] += WRONG_AMOUNT_MINOR
        case Twist.CURRENCY:
            body["currency"] = "XTS"
        case Twist.REFERENCE:
            body["reference"] = "somebody-else"
        case None:
            pass
    return body


def key_json(desk: Desk, state: KeyState) -> dict[str, Any]:
    """Return a Key with its resource as it stands now."""
    resource = None
    if state.spent:
        now = desk.book.resource(state.spent.resource.id)
        resource = resource_json(desk, now or state.spent.resource)
    return {
        "object": "key",
        "key": state.key,
        "status": state.status,
        "operation": state.spent.operation if state.spent else None,
        "resource": resource,
    }


def settlement_json(entry: Entry, *, anomalies: bool) -> dict[str, Any]:
    """Return a settlement; its anomalies are for the control API alone."""
    detail = entry.detail
    body = {
        "object": "settlement",
        "id": entry.id,
        "account": entry.account,
        "format": detail["format"],
        "file_name": detail["file_name"],
        "sha256": detail["sha256"],
        "rows": detail["rows"],
        "totals": detail["totals"],
        "payouts": detail["payouts"],
        "created_at": entry.at,
    }
    return body | {"anomalies": detail["anomalies"]} if anomalies else body


EVENT_TYPES: dict[Kind, str] = {
    Kind.CHARGE: "charge.created",
    Kind.CAPTURE: "charge.captured",
    Kind.VOID: "charge.voided",
    Kind.REFUND: "refund.created",
    Kind.EXTERNAL_REFUND: "refund.external",
    Kind.CHARGEBACK: "chargeback.created",
    Kind.DISPUTE_AGAIN: "chargeback.again",
    Kind.DISPUTE_EVIDENCE: "chargeback.answered",
    Kind.DISPUTE_CLOSED: "chargeback.closed",
    Kind.PAYOUT: "payout.created",
    Kind.SETTLEMENT: "settlement.issued",
}


def event_json(desk: Desk, entry: Entry) -> dict[str, Any] | None:
    """Return an Event, None for an entry that is no news for the merchant."""
    subject: dict[str, Any] | None = None
    resource = desk.book.resource((entry.charge or "") if entry.kind in _ON_CHARGE else entry.id)
    kind = EVENT_TYPES.get(entry.kind)
    if entry.kind in ON_DISPUTE:
        subject = chargeback_json(desk.book.chargebacks[entry.id])
    elif entry.kind is Kind.SETTLEMENT:
        subject = settlement_json(entry, anomalies=False)
    elif resource:
        subject = resource_json(desk, resource)
        kind = kind or f"{subject['object']}.resolved"
    if subject is None:
        return None
    return {"object": "event", "seq": entry.seq, "type": kind, "at": entry.at, "resource": subject}


_ON_CHARGE = {Kind.CAPTURE, Kind.VOID}
ON_DISPUTE = {
    Kind.CHARGEBACK, Kind.DISPUTE_AGAIN, Kind.DISPUTE_EVIDENCE, Kind.DISPUTE_CLOSED,
}  # fmt: skip


def _decline_json(code: str | None) -> dict[str, Any] | None:
    if code is None:
        return None
    row = DECLINES.get(code) or NOT_PAID
    return {"code": row.code, "message": row.message, "advice": row.advice}
