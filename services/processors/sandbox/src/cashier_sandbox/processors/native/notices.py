"""The native API's webhooks: one event per body, signed over its time and its bytes."""

from __future__ import annotations

import hmac
from hashlib import blake2b, sha256
from typing import Any

import orjson

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.entry import Kind
from cashier_sandbox.domain.notice import Endpoint, News, Notice
from cashier_sandbox.flows.deliver_notice import Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.native.wire import (
    EVENT_TYPES,
    ON_DISPUTE,
    chargeback_json,
    resource_json,
    settlement_json,
)

SIGNATURE_HEADER = "Sandbox-Signature"
_TYPES: dict[Kind, str] = EVENT_TYPES | {
    Kind.INFORMATION_REQUESTED: "charge.information_requested",
    Kind.CAPTURE_FAILED: "capture.failed",
    Kind.REFUND_FAILED: "refund.failed",
    Kind.PAYOUT_FAILED: "payout.failed",
}


def write(desk: Desk, news: News) -> list[Notice]:
    """Return the event of a piece of news, none where the entry is no news for merchants."""
    entry = news.entry
    subject = _subject(desk, news)
    if subject is None:
        return []
    kind = _TYPES.get(entry.kind) or f"{subject['object']}.resolved"
    event = {
        "object": "event",
        "id": stable_id("evt", desk.seed, entry.account, entry.seq),
        "type": kind,
        "seq": entry.seq,
        "at": entry.at,
        "account": entry.account,
        "about": entry.id,
        "reference": entry.reference,
        "moved": entry.moved,
        "currency": entry.currency,
        "resource": subject,
    }
    return [Notice(id=str(event["id"]), type=kind, body=orjson.dumps(event))]


def _subject(desk: Desk, news: News) -> dict[str, Any] | None:
    entry = news.entry
    if entry.kind is Kind.SETTLEMENT:
        return settlement_json(entry, anomalies=False)
    if news.dispute and entry.kind in ON_DISPUTE:
        return chargeback_json(news.dispute)
    if entry.kind in _TYPES or entry.kind is Kind.RESOLVE:
        return resource_json(desk, news.resource)
    return None


def sign(endpoint: Endpoint, body: bytes, at_s: int) -> dict[str, str]:
    """`Sandbox-Signature: t=…,v1=…`: HMAC-SHA256 over `t.body`."""
    signed = hmac.new(endpoint.secret.encode(), f"{at_s}.".encode() + body, sha256)
    return {
        "Content-Type": "application/json; charset=utf-8",
        SIGNATURE_HEADER: f"t={at_s},v1={signed.hexdigest()}",
    }


def _secret(name: str) -> str:
    return f"nwhs_{blake2b(name.encode(), digest_size=16).hexdigest()}"


NOTICES = Face(write=write, sign=sign, secret=_secret)
