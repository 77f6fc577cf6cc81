"""Adyen's standard webhooks: one notification item per message, signed inside by HMAC-SHA256."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from cashier_sandbox.domain.charge import Charge, Refund, Status
from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.dispute import DisputeStage, DisputeStatus
from cashier_sandbox.domain.entry import Entry, Kind
from cashier_sandbox.domain.notice import Endpoint, News, Notice
from cashier_sandbox.flows.deliver_notice import Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.adyen.amounts import amount_json
from cashier_sandbox.processors.adyen.modify import ASKED, REASON
from cashier_sandbox.processors.adyen.reasons import advice_of, reason_of
from cashier_sandbox.processors.adyen.references import psp_reference
from cashier_sandbox.processors.adyen.wire import BRAND

# In this order, and an absent one as an empty text. Adyen's libraries escape nothing in them.
SIGNED = (
    "pspReference",
    "originalReference",
    "merchantAccountCode",
    "merchantReference",
    "value",
    "currency",
    "eventCode",
    "success",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One notification before it is JSON; `about` is a ledger id, `original` the payment's."""

    event: str
    about: str
    original: str = ""
    reference: str
    amount: int
    currency: str
    success: bool = True
    reason: str = ""
    operations: Sequence[str] = ()
    more: dict[str, str] = field(default_factory=dict)


def write(desk: Desk, news: News) -> list[Notice]:
    """Return the notices that a piece of news is worth."""
    return [_notice(desk, news.entry, item) for item in _items(news)]


def seal(endpoint: Endpoint, body: bytes) -> bytes:
    """Return the message with each item's signature in its additional data."""
    message = orjson.loads(body)
    for wrapper in message["notificationItems"]:
        item = wrapper["NotificationRequestItem"]
        item["additionalData"]["hmacSignature"] = signature(item, endpoint.secret)
    return orjson.dumps(message)


def signature(item: dict[str, Any], key: str) -> str:
    """Return the base64 HMAC-SHA256 of an item's named fields under a hexadecimal key."""
    facts = item | {"value": item["amount"]["value"], "currency": item["amount"]["currency"]}
    text = ":".join(str(facts.get(name, "")) for name in SIGNED)
    digest = hmac.new(_bytes_of(key), text.encode(), sha256).digest()
    return base64.b64encode(digest).decode()


def _bytes_of(key: str) -> bytes:
    try:
        return bytes.fromhex(key)
    except ValueError:  # a key that Adyen would never have made: no receiver can verify it
        return key.encode()


def _items(news: News) -> list[_Item]:
    entry = news.entry
    match entry.kind:
        case Kind.CHARGE:
            return _authorisation(news.charge)
        case Kind.RESOLVE:
            return _resolved(news)
        case Kind.REFUND | Kind.EXTERNAL_REFUND if news.refund:
            return _refunded(entry, news.refund)
        case Kind.PAYOUT:
            return _paid_out(news)
        case Kind.CAPTURE | Kind.VOID | Kind.MODIFICATION_REFUSED:
            return [_modified(entry, news.charge)]
        case kind if kind in _TELLS or kind is Kind.DISPUTE_CLOSED:
            return _disputed(news)
        case Kind.CAPTURE_FAILED | Kind.REFUND_FAILED | Kind.PAYOUT_FAILED:
            return [_failed(entry)]
        case _:
            return []


def _authorisation(charge: Charge | None) -> list[_Item]:
    """Nothing while a charge waits: Adyen tells what an authorisation became, not that it began."""
    if charge is None or charge.status in {Status.PENDING, Status.REQUIRES_ACTION}:
        return []
    no = charge.decline
    return [
        _Item(
            event="AUTHORISATION",
            about=charge.id,
            reference=charge.reference,
            amount=charge.amount,
            currency=charge.currency,
            success=no is None,
            reason=reason_of(no).text if no else "",
            operations=() if no else ("CANCEL", "CAPTURE", "REFUND"),
            more=_why(no) if no else {},
        )
    ]


def _why(decline: str) -> dict[str, str]:
    reason = reason_of(decline)
    told = {"refusalReasonCode": reason.code, "refusalReasonRaw": reason.raw}
    return told | advice_of(decline)


def _resolved(news: News) -> list[_Item]:
    if news.refund:
        return _refunded(news.entry, news.refund)
    return _paid_out(news) if news.payout else _authorisation(news.charge)


def _refunded(entry: Entry, refund: Refund) -> list[_Item]:
    if refund.status is Status.PENDING:
        return []
    asked = entry.detail.get(ASKED)
    return [
        _Item(
            event="CANCEL_OR_REFUND" if asked == "reversals" else "REFUND",
            about=refund.id,
            original=refund.charge,
            reference=refund.reference,
            amount=refund.amount,
            currency=refund.currency,
            success=refund.decline is None,
            reason=reason_of(refund.decline).text if refund.decline else "",
            more={"modification.action": "refund"} if asked == "reversals" else {},
        )
    ]


def _paid_out(news: News) -> list[_Item]:
    payout = news.payout
    if payout is None or payout.status is Status.PENDING:
        return []
    return [
        _Item(
            event="PAYOUT_THIRDPARTY",
            about=payout.id,
            reference=payout.reference,
            amount=payout.amount,
            currency=payout.currency,
            success=payout.decline is None,
            reason=reason_of(payout.decline).text if payout.decline else "",
        )
    ]


_CANCELS: dict[str, str] = {
    "cancels": "CANCELLATION",
    "reversals": "CANCEL_OR_REFUND",
    "technical_cancels": "TECHNICAL_CANCEL",
}


def _modified(entry: Entry, charge: Charge | None) -> _Item:
    """A capture or cancellation, or a refund too, that was done or refused."""
    detail, refused = entry.detail, entry.kind is Kind.MODIFICATION_REFUSED
    operation = Operation(detail["operation"] if refused else entry.kind)
    asked = detail.get(ASKED, "cancels")
    events = {Operation.CAPTURE: "CAPTURE", Operation.REFUND: "REFUND"}
    event = _CANCELS["reversals"] if asked == "reversals" else events.get(operation)
    # Of a cancellation Adyen tells the payment's amount, not what was released.
    amount = entry.moved or detail.get("amount", charge.amount if charge else 0)
    action = "refund" if operation is Operation.REFUND else "cancel"
    return _Item(
        event=event or _CANCELS.get(asked, "CANCELLATION"),
        about=entry.id,
        original=charge.id if charge else "",
        reference=entry.reference or "",
        amount=amount,
        currency=entry.currency or "EUR",
        success=not refused,
        reason=detail.get(REASON, ""),
        more={"modification.action": action} if asked == "reversals" else {},
    )


def _disputed(news: News) -> list[_Item]:
    """What Adyen tells of a dispute, each event under the one reference of the dispute."""
    entry, dispute = news.entry, news.dispute
    stage = dispute.stage if dispute else DisputeStage.INQUIRY
    won = entry.detail.get("status") == DisputeStatus.WON
    events = _TELLS.get(entry.kind) or _VERDICTS[stage, won]
    return [
        _Item(
            event=event,
            about=entry.id,
            original=entry.charge or "",
            reference=entry.reference or "",
            amount=dispute.amount if dispute else entry.detail["amount"],
            currency=entry.currency or "",
            reason=entry.detail.get("reason", "") or (dispute.reason if dispute else ""),
            more={"chargebackReasonCode": "10.4", "disputeStatus": _STANDING.get(event, "")},
        )
        for event in events
    ]


_TELLS: dict[Kind, tuple[str, ...]] = {
    Kind.INFORMATION_REQUESTED: ("REQUEST_FOR_INFORMATION",),
    Kind.CHARGEBACK: ("NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK"),
    Kind.DISPUTE_EVIDENCE: ("INFORMATION_SUPPLIED",),
    Kind.DISPUTE_AGAIN: ("SECOND_CHARGEBACK",),
    Kind.FRAUD_REPORTED: ("NOTIFICATION_OF_FRAUD",),
}
_VERDICTS: dict[tuple[DisputeStage, bool], tuple[str, ...]] = {
    (DisputeStage.INQUIRY, True): (),
    (DisputeStage.INQUIRY, False): ("DISPUTE_DEFENSE_PERIOD_ENDED",),
    (DisputeStage.CHARGEBACK, True): ("CHARGEBACK_REVERSED", "ISSUER_RESPONSE_TIMEFRAME_EXPIRED"),
    (DisputeStage.CHARGEBACK, False): ("DISPUTE_DEFENSE_PERIOD_ENDED",),
    (DisputeStage.SECOND_CHARGEBACK, True): ("PREARBITRATION_WON",),
    (DisputeStage.SECOND_CHARGEBACK, False): ("PREARBITRATION_LOST",),
}
_STANDING: dict[str, str] = {
    "REQUEST_FOR_INFORMATION": "Unresponded",
    "NOTIFICATION_OF_CHARGEBACK": "Undefended",
    "CHARGEBACK": "Undefended",
    "INFORMATION_SUPPLIED": "Pending",
    "CHARGEBACK_REVERSED": "Pending",
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": "Won",
    "DISPUTE_DEFENSE_PERIOD_ENDED": "Lost",
    "SECOND_CHARGEBACK": "Lost",
    "PREARBITRATION_WON": "Won",
    "PREARBITRATION_LOST": "Lost",
}
_FAILURES: dict[Kind, str] = {
    Kind.CAPTURE_FAILED: "CAPTURE_FAILED",
    Kind.REFUND_FAILED: "REFUND_FAILED",
    Kind.PAYOUT_FAILED: "PAIDOUT_REVERSED",
}


def _failed(entry: Entry) -> _Item:
    return _Item(
        event=_FAILURES[entry.kind],
        about=entry.id,
        original=entry.charge or "",
        reference=entry.reference or "",
        amount=abs(entry.moved),
        currency=entry.currency or "",
        reason=reason_of(entry.detail["code"]).text,
    )


def _notice(desk: Desk, entry: Entry, item: _Item) -> Notice:
    additional = {"hmacSignature": "", **item.more}
    facts: dict[str, Any] = {
        "additionalData": additional,
        "amount": amount_json(item.amount, item.currency),
        "eventCode": item.event,
        "eventDate": f"{entry.at[:19]}+00:00",
        "merchantAccountCode": desk.account.name,
        "merchantReference": item.reference,
        "originalReference": psp_reference(item.original),
        "paymentMethod": BRAND,
        "pspReference": psp_reference(item.about),
        "reason": item.reason,
        "success": "true" if item.success else "false",
    }
    if item.operations:
        facts["operations"] = list(item.operations)
    body = {"live": "false", "notificationItems": [{"NotificationRequestItem": facts}]}
    name = f"{facts['pspReference']}.{item.event}.{entry.seq}"
    return Notice(id=name, type=item.event, body=orjson.dumps(body))


NOTICES = Face(
    write=write,
    sign=lambda _endpoint, _body, _at: {"Content-Type": "application/json; charset=utf-8"},
    secret=lambda name: sha256(name.encode()).hexdigest().upper(),
    seal=seal,
)
