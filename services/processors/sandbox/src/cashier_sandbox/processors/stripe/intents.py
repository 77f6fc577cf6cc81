"""`/v1/payment_intents`: make, confirm, capture, cancel, fetch, list, search."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.intent import Intent
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.intents import (
    Taking,
    cancel_intent,
    capture_intent,
    confirm_intent,
    create_intent,
    intent_id,
    last_try,
)
from cashier_sandbox.flows.operate import Wish
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.stripe.amounts import amount_of, charge_amount_of, currency_of
from cashier_sandbox.processors.stripe.expand import expanded
from cashier_sandbox.processors.stripe.form import form_of, refuse
from cashier_sandbox.processors.stripe.intent_objects import intent_json
from cashier_sandbox.processors.stripe.lists import Page
from cashier_sandbox.processors.stripe.methods import token_of
from cashier_sandbox.processors.stripe.params import Params
from cashier_sandbox.processors.stripe.requests import (
    OPERATION_FIELD,
    Asked,
    asked,
    capture_reference_of,
    done_answer,
    reference_of,
)

DESCRIPTION_MAX_CHARS = 1_000
URL_MAX_CHARS = 2_048
DESCRIPTOR_MAX_CHARS = 22
METHOD_TYPES_MAX = 20
QUERY_MAX_CHARS = 500
_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
_SEARCH = re.compile(r"metadata\[(['\"])(?P<key>[^'\"]+)\1\]:(['\"])(?P<value>[^'\"]*)\3")


async def post_intent(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/payment_intents`."""
    ask = await asked(request)
    params = ask.params
    currency = currency_of(desk, params)
    amount = charge_amount_of(params, currency)
    metadata = params.metadata()
    confirm = params.flag("confirm", default=False)
    method = params.text("payment_method", default="")
    capture = params.choice(
        "capture_method", ("automatic", "automatic_async", "manual"), default="automatic"
    )
    customer = params.text("customer", default="")
    description = params.text("description", most=DESCRIPTION_MAX_CHARS, default="")
    _card_only(params)
    wish = Wish(
        reference=reference_of(metadata),
        metadata=metadata,
        capture=capture != "manual",
        payer_present=_payer_present(params),
    )
    tried = _tried(params)
    params.choice("confirmation_method", ("automatic",), default="automatic")
    _only_shown(params)
    params.end()
    if confirm and not method:
        raise refuse(
            "payment_method",
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            "payment_intent_unexpected_state",
        )
    token = token_of(method, amount) if method else ""
    order = ask.order(
        Operation.CHARGE if confirm else Operation.INTENT,
        token=token if confirm else "",
        currency=currency,
        amount=amount,
    )
    said = {
        "id": intent_id(desk, order),
        "amount": amount,
        "currency": currency,
        "reference": wish.reference,
        "metadata": metadata,
        "capture": wish.capture,
        "method": method,
        "customer": customer,
        "description": description,
        **tried,
    }
    done = await create_intent(desk, order, wish, said, confirm=confirm)
    return done_answer(desk, done, params.expand)


async def post_confirm(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/payment_intents/{id}/confirm`."""
    ask = await asked(request)
    params, intent = ask.params, _intent(desk, request)
    method = params.text("payment_method", default="")
    capture = params.choice(
        "capture_method", ("automatic", "automatic_async", "manual"), default=""
    )
    _card_only(params)
    captures = intent.capture if not capture else capture != "manual"
    wish = Wish(
        reference=intent.reference,
        metadata=intent.metadata,
        capture=captures,
        payer_present=_payer_present(params),
    )
    said = {"id": intent.id, "capture": captures} | ({"method": method} if method else {})
    said |= {name: value for name, value in _tried(params).items() if value}
    params.end()
    order = ask.order(
        Operation.CHARGE,
        token=token_of(method or intent.method, intent.amount) if method or intent.method else "",
        currency=intent.currency,
        amount=intent.amount,
    )
    return done_answer(desk, await confirm_intent(desk, order, wish, said), params.expand)


async def post_capture(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/payment_intents/{id}/capture`."""
    ask = await asked(request)
    params, intent = ask.params, _intent(desk, request)
    amount = None
    if "amount_to_capture" in params:
        amount = amount_of(params, intent.currency, "amount_to_capture")
    metadata = params.metadata()
    taking = Taking(
        amount=amount,
        final=params.flag("final_capture", default=True),
        reference=capture_reference_of(metadata, intent.reference),
        metadata=metadata,
    )
    _only_shown(params)
    params.end()
    order = _order(ask, Operation.CAPTURE, intent, amount)
    return done_answer(desk, await capture_intent(desk, order, intent.id, taking), params.expand)


async def post_cancel(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/payment_intents/{id}/cancel`."""
    ask = await asked(request)
    params, intent = ask.params, _intent(desk, request)
    reason = params.choice("cancellation_reason", _REASONS, default="")
    params.end()
    order = _order(ask, Operation.VOID, intent, None)
    done = await cancel_intent(desk, order, intent.id, reason=reason)
    return done_answer(desk, done, params.expand)


async def get_intent(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/payment_intents/{id}`."""
    params, intent = Params(await form_of(request)), _intent(desk, request)
    params.text("client_secret", default="")
    params.end()
    return answer(expanded(desk, shown(desk, intent), params.expand))


async def list_intents(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/payment_intents`."""
    params = Params(await form_of(request))
    page, customer = Page(params), params.text("customer", default="")
    params.end()
    intents = reversed(desk.book.intents.values())
    wanted = (one for one in intents if not customer or one.customer == customer)
    return _listed(desk, page, request.path, wanted)


async def search_intents(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/payment_intents/search`: by one metadata pair, at once (Stripe: within a minute)."""
    params = Params(await form_of(request))
    query = _SEARCH.fullmatch(params.text("query", most=QUERY_MAX_CHARS).strip())
    page = Page(params)
    params.end()
    if query is None:
        raise refuse(
            "query", "The sandbox searches for metadata['key']:'value' alone.", "parameter_invalid"
        )
    key, value = query["key"], query["value"]
    names = (
        desk.book.by_reference.get((Operation.INTENT, value), [])
        if key == OPERATION_FIELD
        else list(desk.book.intents)
    )
    found = (desk.book.intents[name] for name in reversed(names))
    body = page.answer(
        desk,
        request.path,
        (one for one in found if one.metadata.get(key) == value),
        name=lambda one: one.id,
        at=lambda one: one.created_at,
        body=lambda one: shown(desk, one),
    )
    return answer(body | {"object": "search_result", "next_page": None})


def shown(desk: Desk, intent: Intent) -> dict[str, Any]:
    """Return a PaymentIntent as it stands now."""
    return intent_json(desk, intent, last_try(desk, intent))


def find_intent(desk: Desk, name: str, param: str = "intent") -> Intent:
    """Return an intent of the account by its id."""
    intent = desk.book.intents.get(name)
    if intent is None:
        raise Refused(Code.NOT_FOUND, f"No such payment_intent: '{name}'", param)
    return intent


def _intent(desk: Desk, request: web.Request) -> Intent:
    return find_intent(desk, request.match_info["id"])


def _listed(desk: Desk, page: Page, path: str, wanted: Any) -> web.Response:  # noqa: ANN401
    return answer(
        page.answer(
            desk,
            path,
            wanted,
            name=lambda one: one.id,
            at=lambda one: one.created_at,
            body=lambda one: shown(desk, one),
        )
    )


def _order(ask: Asked, operation: Operation, intent: Intent, amount: int | None) -> Any:  # noqa: ANN401
    return ask.order(operation, token="", currency=intent.currency, amount=amount or 0)


def _tried(params: Params) -> dict[str, Any]:
    """What a try says beside its method: where the payer returns to, how often is captured."""
    options = params.object("payment_method_options")
    card = options.object("card")
    multicapture = card.choice("request_multicapture", ("if_available", "never"), default="never")
    card.choice("request_three_d_secure", ("any", "automatic", "challenge"), default="automatic")
    card.end()
    options.end()
    return {
        "return_url": params.text("return_url", most=URL_MAX_CHARS, default=""),
        "multicapture": multicapture == "if_available",
    }


def _payer_present(params: Params) -> bool:
    off_session = params.choice(
        "off_session", ("true", "false", "one_off", "recurring"), default="false"
    )
    fails = params.flag("error_on_requires_action", default=False)
    return off_session == "false" and not fails


def _card_only(params: Params) -> None:
    """The sandbox has cards alone, so every list of method types must hold them."""
    for name in ("payment_method_types", "allowed_payment_method_types"):
        types = params.texts(name, most=METHOD_TYPES_MAX)
        if types and "card" not in types:
            raise refuse(name, "The sandbox's accounts take cards alone.", "parameter_invalid")
    automatic = params.object("automatic_payment_methods")
    automatic.flag("enabled", default=True)
    automatic.choice("allow_redirects", ("always", "never"), default="always")
    automatic.end()


def _only_shown(params: Params) -> None:
    """Take what a payer would see on a statement and nothing here depends on."""
    params.text("statement_descriptor", most=DESCRIPTOR_MAX_CHARS, default="")
    params.text("statement_descriptor_suffix", most=DESCRIPTOR_MAX_CHARS, default="")
    params.choice("setup_future_usage", ("off_session", "on_session"), default="on_session")
