"""What every request of Adyen's has in common: its key, its fingerprint, its merchant account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import count
from typing import Any

import orjson
from aiohttp import web

from cashier_sandbox.domain.conditions import Ask
from cashier_sandbox.domain.entry import Draft
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.perform import Order
from cashier_sandbox.flows.refusals import Refused, invalid
from cashier_sandbox.http.fields import KEY_MAX_CHARS, Fields, checked_text, is_key
from cashier_sandbox.processors.adyen.errors import FORBIDDEN, IDEMPOTENCY_KEY, rejected, required

REFERENCE_MAX_CHARS = 80
_unkeyed = count(1)


def order_of(
    desk: Desk,
    request: web.Request,
    body: Mapping[str, Any],
    ask: Ask,
    note: Mapping[str, str] | None = None,
    late: Callable[[Order, Refused], Draft] | None = None,
) -> Order:
    """Return the order of a request; a second one under its key is refused, not made to wait."""
    parsed = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    # v71 and v72 of a path are one resource.
    path = request.path.partition("/payments")[1:] if "/payments" in request.path else request.path
    fingerprint = sha256("".join(path).encode() + b"\n" + parsed).hexdigest()
    return Order(
        key=_key(desk, request),
        fingerprint=fingerprint,
        ask=ask,
        patience_s=0,
        note=note or {},
        late=late,
    )


def take_merchant(desk: Desk, fields: Fields) -> None:
    """Take `merchantAccount`, which must be the account's name."""
    given = fields.take("merchantAccount", None)
    if given is None:
        raise required("901", "merchantAccount")
    if given != desk.account.name:
        message = "Invalid Merchant Account"
        raise rejected("901", message, "merchantAccount", status=FORBIDDEN)


def take_reference(fields: Fields, name: str = "reference") -> str:
    """Return a reference of the merchant's, empty where there is none."""
    value = fields.take(name, None)
    return "" if value is None else checked_text(name, value, most=REFERENCE_MAX_CHARS)


def ignore(fields: Fields, names: frozenset[str]) -> None:
    """Take fields that Adyen knows and the sandbox has no use for."""
    for name in names:
        fields.take(name, None)


def _key(desk: Desk, request: web.Request) -> str:
    values = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not values:
        # Never given twice, over restarts too: what it does grows the ledger.
        return f"unkeyed-{len(desk.ledger.entries)}-{next(_unkeyed)}"
    if len(values) != 1 or not is_key(values[0]):
        raise invalid(
            IDEMPOTENCY_KEY,
            f"{IDEMPOTENCY_KEY} must be 1 to {KEY_MAX_CHARS} visible ASCII characters",
        )
    return values[0]
