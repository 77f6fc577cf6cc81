"""What every request of dLocal's has in common: its key, its fingerprint, its own id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from itertools import count
from typing import Any

from aiohttp import web

from cashier_sandbox.domain.conditions import Ask
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.perform import Order
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.http.fields import KEY_MAX_CHARS, Fields, is_key

KEY = "X-Idempotency-Key"
ORDER_ID_MAX_CHARS = 100
URL_MAX_CHARS = 500
_unkeyed = count(1)


def order_of(desk: Desk, request: web.Request, body: Mapping[str, Any], ask: Ask) -> Order:
    """Return the order of a request; a second one under its key waits for the first."""
    parsed = json.dumps(body, sort_keys=True, default=str)
    return Order(
        key=_key(desk, request),
        fingerprint=sha256(f"{request.path}\n{parsed}".encode()).hexdigest(),
        ask=ask,
    )


def take_own_id(fields: Fields, name: str, *, required: bool) -> str:
    """Return the merchant's own id of a thing, empty where there is none."""
    return fields.text(name, most=ORDER_ID_MAX_CHARS, default=None if required else "")


def ignore(fields: Fields, *names: str) -> None:
    """Take fields that dLocal knows and the sandbox has no use for."""
    for name in names:
        fields.take(name, None)


def _key(desk: Desk, request: web.Request) -> str:
    values = request.headers.getall(KEY, [])
    if not values:
        # Never given twice, over restarts too: what it does grows the ledger.
        return f"unkeyed-{len(desk.ledger.entries)}-{next(_unkeyed)}"
    if len(values) != 1 or not is_key(values[0]):
        raise invalid(KEY, f"{KEY} must be 1 to {KEY_MAX_CHARS} visible ASCII characters")
    return values[0]
