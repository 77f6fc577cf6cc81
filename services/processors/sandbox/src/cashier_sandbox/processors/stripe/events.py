"""Stripe's events: what each ledger entry is worth telling, as objects stood then, signed."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from hashlib import blake2b, sha256
from typing import Any

import orjson

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import Status
from cashier_sandbox.domain.entry import Kind
from cashier_sandbox.domain.notice import Endpoint, News, Notice
from cashier_sandbox.flows.deliver_notice import Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.stripe.dispute_objects import dispute_json
from cashier_sandbox.processors.stripe.errors import API_VERSION
from cashier_sandbox.processors.stripe.intent_objects import (
    charge_json,
    intent_json,
    is_shown,
    unix,
)
from cashier_sandbox.processors.stripe.money_objects import (
    batch_lines,
    batch_payout_json,
    payout_json,
    refund_json,
)

_Told = tuple[str, dict[str, Any]]
_OUTCOMES: dict[Status, tuple[str, str]] = {
    Status.SUCCEEDED: ("charge.succeeded", "payment_intent.succeeded"),
    Status.AUTHORIZED: ("charge.succeeded", "payment_intent.amount_capturable_updated"),
    Status.PENDING: ("charge.pending", "payment_intent.processing"),
    Status.REQUIRES_ACTION: ("", "payment_intent.requires_action"),
    Status.DECLINED: ("charge.failed", "payment_intent.payment_failed"),
}
_PAYOUTS: dict[Status, str] = {Status.SUCCEEDED: "payout.paid", Status.DECLINED: "payout.failed"}


def events_of(desk: Desk, news: News) -> list[dict[str, Any]]:
    """Return the events of one piece of news; their ids never change."""
    entry = news.entry
    return [
        {
            "id": stable_id("evt", desk.seed, entry.account, entry.seq, place),
            "object": "event",
            "api_version": API_VERSION,
            "created": unix(entry.at),
            "data": {"object": body},
            "livemode": False,
            "pending_webhooks": sum(one.wants(kind) for one in desk.book.endpoints.values()),
            "request": {"id": None, "idempotency_key": entry.key},
            "type": kind,
        }
        for place, (kind, body) in enumerate(_told(desk, news))
    ]


def _told(desk: Desk, news: News) -> Iterator[_Told]:
    teller = _TELLERS.get(news.entry.kind)
    return teller(desk, news) if teller else iter(())


def _made(desk: Desk, news: News) -> Iterator[_Told]:
    yield "payment_intent.created", _intent(desk, news)


def _tried(desk: Desk, news: News) -> Iterator[_Told]:
    if "amount" in news.entry.detail.get("intent", {}):  # the same request made the intent
        yield "payment_intent.created", _intent(desk, news)
    yield from _outcome(desk, news)


def _captured(desk: Desk, news: News) -> Iterator[_Told]:
    yield "charge.captured", _charge(desk, news)
    yield from _outcome(desk, news, charge=False)


def _closed(desk: Desk, news: News) -> Iterator[_Told]:
    captured = news.charge and news.charge.status is Status.SUCCEEDED
    kind = "payment_intent.succeeded" if captured else "payment_intent.canceled"
    yield kind, _intent(desk, news)


def _resolved(desk: Desk, news: News) -> Iterator[_Told]:
    if news.payout:
        yield _PAYOUTS[news.payout.status], payout_json(desk, news.payout)
    elif news.refund:
        yield from _refund(desk, news, "refund.updated")
    else:
        yield from _outcome(desk, news)


def _refunded(desk: Desk, news: News) -> Iterator[_Told]:
    return _refund(desk, news, "refund.created")


def _refund_failed(desk: Desk, news: News) -> Iterator[_Told]:
    return _refund(desk, news, "refund.updated")


def _payout_failed(desk: Desk, news: News) -> Iterator[_Told]:
    if news.payout:
        yield "payout.failed", payout_json(desk, news.payout)


def _paid_out(desk: Desk, news: News) -> Iterator[_Told]:
    if news.payout is None:
        return
    body = payout_json(desk, news.payout)
    yield "payout.created", body
    if kind := _PAYOUTS.get(news.payout.status):
        yield kind, body


def _settled(desk: Desk, news: News) -> Iterator[_Told]:
    for line in batch_lines(desk, news.entry):
        yield "payout.created", batch_payout_json(line)
        yield "payout.paid", batch_payout_json(line)


def _outcome(desk: Desk, news: News, *, charge: bool = True) -> Iterator[_Told]:
    if news.charge is None or news.intent is None:
        return
    about_charge, about_intent = _OUTCOMES[news.charge.status]
    if charge and about_charge and is_shown(news.charge):
        yield about_charge, _charge(desk, news)
    yield about_intent, _intent(desk, news)


def _refund(desk: Desk, news: News, kind: str) -> Iterator[_Told]:
    if news.refund is None or news.charge is None:
        return
    body = refund_json(desk, news.refund, news.charge.intent)
    yield kind, body
    if news.refund.status is Status.DECLINED:
        yield "refund.failed", body
    elif news.refund.status is Status.SUCCEEDED:
        yield "charge.refunded", _charge(desk, news)


def _dispute(desk: Desk, news: News) -> Iterator[_Told]:
    if news.dispute is None:
        return
    body = dispute_json(desk, news.dispute)
    took = "charge.dispute.funds_withdrawn", body
    match news.entry.kind:
        case Kind.INFORMATION_REQUESTED:
            yield "charge.dispute.created", body
        case Kind.CHARGEBACK if news.dispute.created_at == news.dispute.staged_at:
            yield "charge.dispute.created", body
            yield took
        case Kind.CHARGEBACK | Kind.DISPUTE_AGAIN:  # an inquiry went on, or a win was taken back
            yield "charge.dispute.updated", body
            yield took
        case Kind.DISPUTE_EVIDENCE:
            yield "charge.dispute.updated", body
        case _:
            yield "charge.dispute.closed", body
            if news.entry.moved:
                yield "charge.dispute.funds_reinstated", body


def _intent(desk: Desk, news: News) -> dict[str, Any]:
    if news.intent is None:
        raise LookupError(f"entry {news.entry.seq} concerns no intent")
    return intent_json(desk, news.intent, news.charge)


def _charge(desk: Desk, news: News) -> dict[str, Any]:
    if news.charge is None:
        raise LookupError(f"entry {news.entry.seq} concerns no charge")
    return charge_json(desk, news.charge, news.intent)


def _write(desk: Desk, news: News) -> list[Notice]:
    return [
        Notice(id=event["id"], type=event["type"], body=orjson.dumps(event))
        for event in events_of(desk, news)
    ]


def _sign(endpoint: Endpoint, body: bytes, at_s: int) -> dict[str, str]:
    """`Stripe-Signature: t=…,v1=…`: HMAC-SHA256 over `t.body`."""
    signed = hmac.new(endpoint.secret.encode(), f"{at_s}.".encode() + body, sha256)
    return {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={at_s},v1={signed.hexdigest()}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }


def _secret(name: str) -> str:
    return f"whsec_{blake2b(name.encode(), digest_size=16).hexdigest()}"


_TELLERS: dict[Kind, Callable[[Desk, News], Iterator[_Told]]] = {
    Kind.INTENT: _made,
    Kind.CHARGE: _tried,
    Kind.CAPTURE: _captured,
    Kind.VOID: _closed,
    Kind.INTENT_CANCELED: _closed,
    Kind.RESOLVE: _resolved,
    Kind.REFUND: _refunded,
    Kind.EXTERNAL_REFUND: _refunded,
    Kind.REFUND_FAILED: _refund_failed,
    Kind.PAYOUT: _paid_out,
    Kind.PAYOUT_FAILED: _payout_failed,
    Kind.SETTLEMENT: _settled,
    Kind.CHARGEBACK: _dispute,
    Kind.INFORMATION_REQUESTED: _dispute,
    Kind.DISPUTE_AGAIN: _dispute,
    Kind.DISPUTE_EVIDENCE: _dispute,
    Kind.DISPUTE_CLOSED: _dispute,
}
FACE = Face(write=_write, sign=_sign, secret=_secret)
