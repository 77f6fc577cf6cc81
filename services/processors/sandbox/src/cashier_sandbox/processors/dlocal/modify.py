"""What follows a payment: captures, cancels and refunds, each with an id of its own."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from cashier_sandbox.domain.charge import Charge, Refund
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.entry import Draft
from cashier_sandbox.domain.script import Behaviour
from cashier_sandbox.flows.operate import (
    Wish,
    capture_draft,
    refund_charge,
    void_charge,
)
from cashier_sandbox.flows.perform import perform
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.fields import Fields
from cashier_sandbox.processors.dlocal.amounts import exact_body, take_amount, take_currency
from cashier_sandbox.processors.dlocal.errors import rejected
from cashier_sandbox.processors.dlocal.order import URL_MAX_CHARS, ignore, order_of, take_own_id
from cashier_sandbox.processors.dlocal.references import References, dlocal_id
from cashier_sandbox.processors.dlocal.wire import (
    capture_json,
    payment_json,
    refund_json,
    said,
    twisted,
)

_BANK_FIELDS = (
    "description",
    "custom_merchant_name",
    "beneficiary_name",
    "beneficiary_lastname",
    "bank",
    "bank_code",
    "bank_account",
    "bank_account_type",
    "bank_branch",
)


async def capture(
    references: References, request: web.Request, body: dict[str, Any]
) -> web.Response:
    """`POST /payments` with an `authorization_id`: several partial ones are allowed."""
    desk, fields = references.desk, Fields(body)
    charge, earlier = references.payment(str(fields.take("authorization_id")))
    if earlier is not None or charge.capture:
        raise Refused(Code.STATE_REFUSED, "only an authorization can be captured")
    amount = _take_part(fields, charge)
    reference = take_own_id(fields, "order_id", required=False)
    ignore(fields, "notification_url")
    fields.end()
    ask = Ask(operation=Operation.CAPTURE, token="", currency=charge.currency, amount=amount or 0)
    order = order_of(desk, request, body, ask)

    def effect(_: Behaviour) -> Draft:
        if reference and references.ordered("payment", reference):
            raise rejected(5009, "Order ID is duplicated.", "order_id")
        now = desk.book.charges[charge.id]
        taken = now.capturable if amount is None else amount
        return capture_draft(desk, order, now, amount=taken, reference=reference, final=False)

    spent = (await perform(desk, order, effect)).spent
    made, after = spent.news.entry.id, spent.resource
    if not isinstance(after, Charge):
        raise TypeError("a capture changed something that is no charge")
    taken = next(one for one in after.captures if one.id == made)
    return said(capture_json(after, taken))


async def post_cancel(references: References, request: web.Request) -> web.Response:
    """`POST /payments/{id}/cancel`: releases an authorization; a code or voucher just expires."""
    desk, body = references.desk, await exact_body(request)
    Fields(body).end()
    charge, part = references.payment(request.match_info["id"])
    if part is not None or charge.capture:
        raise Refused(Code.STATE_REFUSED, "only an authorization can be cancelled")
    ask = Ask(operation=Operation.VOID, token="", currency=charge.currency, amount=0)
    done = await void_charge(desk, order_of(desk, request, body, ask), charge.id, reference="")
    after = done.spent.resource
    if not isinstance(after, Charge):
        raise TypeError("a cancellation changed something that is no charge")
    return said(payment_json(desk, after))


async def post_refund(references: References, request: web.Request) -> web.Response:
    """`POST /refunds`: of a payment, or of a capture; several partial ones are allowed."""
    desk, body = references.desk, await exact_body(request)
    fields = Fields(body)
    charge, part = references.payment(str(fields.take("payment_id")))
    amount = _take_part(fields, charge)
    reference = take_own_id(fields, "order_refund_id", required=False)
    fields.text("notification_url", most=URL_MAX_CHARS, default="")
    ignore(fields, *_BANK_FIELDS)
    fields.end()
    most = part.amount if part else None
    if part and amount is None:
        amount = most
    wish = Wish(
        reference=reference or (part.reference if part else charge.reference),
        metadata={"payment_id": dlocal_id(part.id if part else charge.id)},
    )
    ask = Ask(
        operation=Operation.REFUND,
        token="",
        currency=charge.currency,
        amount=charge.refundable if amount is None else amount,
    )

    def guard(now: Charge, given: int) -> None:
        if reference and references.ordered("re", reference):
            raise rejected(5011, "Order refund id is duplicated.", "order_refund_id")
        if not now.amount_captured or (part is None and not now.capture):
            raise Refused(Code.STATE_REFUSED, "nothing of it was captured")
        if most is not None and given > most:
            raise Refused(Code.STATE_REFUSED, "it is more than the capture", "amount")

    order = order_of(desk, request, body, ask)
    done = await refund_charge(desk, order, charge.id, amount=amount, wish=wish, guard=guard)
    refund = done.spent.resource
    if not isinstance(refund, Refund):
        raise TypeError("a refund made something that is no refund")
    answer = refund_json(refund)
    return said(twisted(answer, refund.amount, done.spent, named="payment_id"))


def _take_part(fields: Fields, charge: Charge) -> int | None:
    """Take `amount` and `currency`, which stand together or not at all; None is all of it."""
    if not fields.has("amount"):
        return None
    return take_amount(fields, take_currency(fields, frozenset({charge.currency})))
