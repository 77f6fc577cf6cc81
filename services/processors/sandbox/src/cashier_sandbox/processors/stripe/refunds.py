"""`/v1/refunds` and `/v1/charges`: give money back, look at what was taken."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.operate import Wish, refund_charge
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.stripe.amounts import amount_of, to_stripe
from cashier_sandbox.processors.stripe.expand import expanded, object_of
from cashier_sandbox.processors.stripe.form import form_of, refuse
from cashier_sandbox.processors.stripe.intent_objects import charge_json, is_shown
from cashier_sandbox.processors.stripe.intents import find_intent
from cashier_sandbox.processors.stripe.lists import Page
from cashier_sandbox.processors.stripe.money_objects import refund_json
from cashier_sandbox.processors.stripe.params import Params
from cashier_sandbox.processors.stripe.requests import asked, done_answer, reference_of

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


async def post_refund(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/refunds`."""
    ask = await asked(request)
    params = ask.params
    charge = _refunded(desk, params)
    amount = amount_of(params, charge.currency) if "amount" in params else None
    metadata = params.metadata()
    wish = Wish(
        reference=reference_of(metadata, charge.reference),
        metadata=metadata,
        reason=params.choice("reason", _REASONS, default=""),
    )
    params.end()
    order = ask.order(Operation.REFUND, token="", currency=charge.currency, amount=amount or 0)
    done = await refund_charge(desk, order, charge.id, amount=amount, wish=wish, guard=_guard)
    return done_answer(desk, done, params.expand)


async def get_refund(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/refunds/{id}`."""
    params, name = Params(await form_of(request)), request.match_info["id"]
    params.end()
    body = object_of(desk, name) if name in desk.book.refunds else None
    if body is None:
        raise Refused(Code.NOT_FOUND, f"No such refund: '{name}'", "refund")
    return answer(expanded(desk, body, params.expand))


async def list_refunds(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/refunds`."""
    params = Params(await form_of(request))
    page = Page(params)
    intent = params.text("payment_intent", default="")
    charge = params.text("charge", default="")
    params.end()
    charges = desk.book.charges
    body = page.answer(
        desk,
        request.path,
        (
            refund
            for refund in reversed(desk.book.refunds.values())
            if (not charge or refund.charge == charge)
            and (not intent or charges[refund.charge].intent == intent)
        ),
        name=lambda refund: refund.id,
        at=lambda refund: refund.created_at,
        body=lambda refund: refund_json(desk, refund, charges[refund.charge].intent),
    )
    return answer(body)


async def get_charge(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/charges/{id}`."""
    params = Params(await form_of(request))
    params.end()
    charge = _charge(desk, request.match_info["id"], "charge")
    body = charge_json(desk, charge, desk.book.intents.get(charge.intent))
    return answer(expanded(desk, body, params.expand))


async def list_charges(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/charges`."""
    params = Params(await form_of(request))
    page, intent = Page(params), params.text("payment_intent", default="")
    params.end()
    book = desk.book
    body = page.answer(
        desk,
        request.path,
        (
            charge
            for charge in reversed(book.charges.values())
            if is_shown(charge) and (not intent or charge.intent == intent)
        ),
        name=lambda charge: charge.id,
        at=lambda charge: charge.created_at,
        body=lambda charge: charge_json(desk, charge, book.intents.get(charge.intent)),
    )
    return answer(body)


def _refunded(desk: Desk, params: Params) -> Charge:
    intent_name = params.text("payment_intent", default="")
    charge_name = params.text("charge", default="")
    if bool(intent_name) == bool(charge_name):
        raise refuse(
            "payment_intent",
            "One of the following params should be provided for this request: payment_intent or "
            "charge.",
            "parameter_missing",
        )
    if charge_name:
        return _charge(desk, charge_name, "charge")
    intent = find_intent(desk, intent_name, "payment_intent")
    charge = desk.book.charges.get(intent.charge)
    if charge is None or not charge.amount_captured:
        raise Refused(
            Code.INVALID_REQUEST,
            f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.",
            "payment_intent",
            {"code": "payment_intent_unexpected_state"},
        )
    return charge


def _charge(desk: Desk, name: str, param: str) -> Charge:
    charge = desk.book.charges.get(name)
    if charge is None or not is_shown(charge):
        raise Refused(Code.NOT_FOUND, f"No such charge: '{name}'", param)
    return charge


def _guard(charge: Charge, amount: int) -> None:
    """Refuse in Stripe's words what would give back more than is left."""
    if charge.status is Status.DECLINED or not charge.amount_captured:
        raise Refused(
            Code.STATE_REFUSED,
            f"Charge {charge.id} was not captured, so it cannot be refunded.",
            "charge",
        )
    if charge.refundable == 0:
        disputed = charge.amount_charged_back > 0
        raise Refused(
            Code.STATE_REFUSED,
            f"Charge {charge.id} has been charged back; cannot issue a refund."
            if disputed
            else f"Charge {charge.id} has already been refunded.",
            "charge",
            {"code": "charge_disputed" if disputed else "charge_already_refunded"},
        )
    if amount > charge.refundable:
        asked_for, left = (
            to_stripe(minor, charge.currency) for minor in (amount, charge.refundable)
        )
        raise Refused(
            Code.STATE_REFUSED,
            f"Refund amount ({asked_for} {charge.currency.lower()}) is greater than unrefunded "
            f"amount on charge ({left} {charge.currency.lower()})",
            "amount",
        )
