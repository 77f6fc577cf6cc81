"""One request of Stripe's API: its parameters, its key, and its answer, first or repeated."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

import orjson
from aiohttp import web

from cashier_sandbox.domain.book import SpentKey
from cashier_sandbox.domain.card_number import has_card_number
from cashier_sandbox.domain.charge import Status
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.entry import Kind
from cashier_sandbox.domain.notice import News
from cashier_sandbox.domain.script import WRONG_AMOUNT_MINOR, Twist
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.perform import Done, Order
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import IDEMPOTENCY_KEY
from cashier_sandbox.processors.stripe.dispute_objects import dispute_json, endpoint_json
from cashier_sandbox.processors.stripe.errors import (
    HTTP_DECLINED,
    REPLAYED,
    decline_error,
    error_answer,
)
from cashier_sandbox.processors.stripe.expand import expanded
from cashier_sandbox.processors.stripe.form import form_of
from cashier_sandbox.processors.stripe.intent_objects import intent_json
from cashier_sandbox.processors.stripe.money_objects import payout_json, refund_json
from cashier_sandbox.processors.stripe.params import Params

KEY_MAX_CHARS = 255
# Where an operation's name stands in Stripe's metadata; the ledger keeps it as the reference.
OPERATION_FIELD = "cashier_operation"
# A capture leaves its operation's number and amount in the intent's metadata: `…_3: "300"`.
CAPTURE_FIELD = "cashier_capture_"
REFERENCE_MAX_CHARS = 128


@dataclass(frozen=True, slots=True)
class Asked:
    """A POST that was read: what is left to take of it, its key, and what the key covers."""

    params: Params
    key: str
    fingerprint: str

    def order(self, operation: Operation, *, token: str, currency: str, amount: int) -> Order:
        """Return the order for a flow; a key that is at work is refused at once."""
        return Order(
            key=self.key,
            fingerprint=self.fingerprint,
            ask=Ask(operation=operation, token=token, currency=currency, amount=amount),
            patience_s=0.0,
        )


async def asked(request: web.Request) -> Asked:
    """Read a POST; a request without a key gets one that nobody else has."""
    form = await form_of(request)
    parsed = orjson.dumps(form, option=orjson.OPT_SORT_KEYS)
    return Asked(
        params=Params(form),
        key=_key(request),
        fingerprint=sha256(request.path.encode() + b"\n" + parsed).hexdigest(),
    )


def reference_of(metadata: dict[str, str], default: str = "") -> str:
    """Return the operation that metadata names."""
    return metadata.get(OPERATION_FIELD, default)[:REFERENCE_MAX_CHARS]


def capture_reference_of(metadata: dict[str, str], intent_reference: str) -> str:
    """Return the operation that a capture's metadata names, beside that of its intent."""
    for name in metadata:
        if name.startswith(CAPTURE_FIELD):
            collection, _, _ = intent_reference.rpartition("/")
            return f"{collection}/{name.removeprefix(CAPTURE_FIELD)}"[:REFERENCE_MAX_CHARS]
    return reference_of(metadata)


def done_answer(desk: Desk, done: Done, expand: list[str]) -> web.Response:
    """Return what was done under a key, as it was first answered."""
    body = _twisted(_body(desk, done.spent.news), done.spent)
    if "error" in body:
        return error_answer(body["error"], HTTP_DECLINED, replayed=done.replayed)
    return answer(expanded(desk, body, expand), headers=REPLAYED if done.replayed else None)


def _body(desk: Desk, news: News) -> dict[str, Any]:
    charge = news.charge
    if news.refund:
        return refund_json(desk, news.refund, charge.intent if charge else "")
    if news.payout:
        return payout_json(desk, news.payout)
    if news.dispute:
        return dispute_json(desk, news.dispute)
    if news.endpoint:
        return endpoint_json(news.endpoint, secret=True)
    if news.intent is None:
        raise LookupError(f"entry {news.entry.seq} concerns nothing that Stripe has")
    body = intent_json(desk, news.intent, charge)
    if news.entry.kind is Kind.CHARGE and charge and charge.status is Status.DECLINED:
        return {"error": decline_error(charge, news.intent.method) | {"payment_intent": body}}
    return body


def _twisted(body: dict[str, Any], spent: SpentKey) -> dict[str, Any]:
    match spent.twist:
        case Twist.AMOUNT:
            for name in ("amount", "amount_received"):
                if body.get(name):
                    body[name] += WRONG_AMOUNT_MINOR
        case Twist.CURRENCY:
            body["currency"] = "xts"
        case Twist.REFERENCE:
            body["metadata"] = {**body.get("metadata", {}), OPERATION_FIELD: "somebody-else"}
        case None:
            pass
    return body


def _key(request: web.Request) -> str:
    values = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not values:
        return f"unkeyed_{uuid4().hex}"
    key = values[0]
    fits = 0 < len(key) <= KEY_MAX_CHARS and key.isascii() and key.isprintable()
    if len(values) > 1 or not fits or has_card_number(key):
        raise Refused(
            Code.INVALID_REQUEST,
            f"Send one Idempotency-Key of 1 to {KEY_MAX_CHARS} visible ASCII characters.",
            IDEMPOTENCY_KEY,
        )
    return key
