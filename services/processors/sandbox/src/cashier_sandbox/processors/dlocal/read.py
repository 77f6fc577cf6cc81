"""Look-ups: a payment by its id, by the merchant's own, and a refund."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.processors.dlocal.references import References, unknown
from cashier_sandbox.processors.dlocal.wire import (
    capture_json,
    order_json,
    payment_json,
    refund_json,
    said,
)


async def get_payment(references: References, request: web.Request) -> web.Response:
    """`GET /payments/{id}`: a payment, or a capture."""
    charge, capture = references.payment(request.match_info["id"])
    if capture is not None:
        return said(capture_json(charge, capture))
    refunds = (r for r in references.desk.book.refunds.values() if r.charge == charge.id)
    return said(payment_json(references.desk, charge) | {"refunds": [*map(refund_json, refunds)]})


async def get_order(references: References, request: web.Request) -> web.Response:
    """`GET /orders/{order_id}`."""
    name = references.ordered("payment", request.match_info["id"])
    if name is None:
        raise unknown("Payment")
    charge, capture = references.thing(name)
    return said(order_json(references.desk, charge, capture))


async def get_refund(references: References, request: web.Request) -> web.Response:
    """`GET /refunds/{id}`."""
    name = references.name(request.match_info["id"]) or ""
    refund = references.desk.book.refunds.get(name)
    if refund is None:
        raise unknown("Refund")
    return said(refund_json(refund))
