"""`/v1/payouts`, `/v1/balance`, `/v1/balance_transactions`: where the money goes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from cashier_sandbox.domain.charge import Payout
from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.script import Verdict, behaviour_of
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.operate import Wish, create_payout
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.stripe.amounts import amount_of, currency_of
from cashier_sandbox.processors.stripe.expand import expanded, object_of
from cashier_sandbox.processors.stripe.form import form_of, refuse
from cashier_sandbox.processors.stripe.intents import DESCRIPTION_MAX_CHARS, DESCRIPTOR_MAX_CHARS
from cashier_sandbox.processors.stripe.lists import Page
from cashier_sandbox.processors.stripe.methods import token_of
from cashier_sandbox.processors.stripe.money_objects import (
    BalanceLine,
    balance_json,
    balance_lines,
    batch_lines,
    batch_payout_json,
    payout_json,
    transaction_json,
)
from cashier_sandbox.processors.stripe.params import Params
from cashier_sandbox.processors.stripe.requests import asked, done_answer, reference_of

# Where a payout goes that names no destination: the account's own.
DEFAULT_DESTINATION = "tok_ok.default_for_currency"


async def post_payout(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/payouts`: `destination` is a token of the sandbox's table."""
    ask = await asked(request)
    params = ask.params
    currency = currency_of(desk, params)
    amount = amount_of(params, currency)
    metadata = params.metadata()
    destination = params.text("destination", default=DEFAULT_DESTINATION)
    params.choice("method", ("standard", "instant"), default="standard")
    params.choice("source_type", ("card", "bank_account", "fpx"), default="card")
    params.text("description", most=DESCRIPTION_MAX_CHARS, default="")
    params.text("statement_descriptor", most=DESCRIPTOR_MAX_CHARS, default="")
    params.end()
    token = token_of(destination, amount, "destination")
    behaviour = behaviour_of(token, amount)
    if behaviour and behaviour.verdict is Verdict.ACTION:
        raise refuse("destination", "This destination takes no payouts.", "parameter_invalid")
    wish = Wish(reference=reference_of(metadata), metadata=metadata)
    order = ask.order(Operation.PAYOUT, token=token, currency=currency, amount=amount)
    return done_answer(desk, await create_payout(desk, order, wish), params.expand)


async def get_payout(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/payouts/{id}`: one to a customer, or the automatic one of a settlement."""
    params, name = Params(await form_of(request)), request.match_info["id"]
    params.end()
    for kind, payout in _payouts(desk):
        if kind == name:
            return answer(expanded(desk, payout, params.expand))
    raise Refused(Code.NOT_FOUND, f"No such payout: '{name}'", "payout")


async def list_payouts(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/payouts`: those to customers; automatic ones are found by their id."""
    params = Params(await form_of(request))
    page = Page(params)
    status = params.choice("status", ("pending", "paid", "failed", "canceled"), default="")
    destination = params.text("destination", default="")
    params.end()

    def wanted(payout: Payout) -> bool:
        return (not destination or payout.destination == destination) and (
            not status or payout_json(desk, payout)["status"] == status
        )

    body = page.answer(
        desk,
        request.path,
        filter(wanted, reversed(desk.book.payouts.values())),
        name=lambda payout: payout.id,
        at=lambda payout: payout.created_at,
        body=lambda payout: payout_json(desk, payout),
    )
    return answer(body)


async def get_balance(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/balance`."""
    Params(await form_of(request)).end()
    return answer(balance_json(desk))


async def list_transactions(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/balance_transactions`, by payout, type, source and currency."""
    params = Params(await form_of(request))
    page = Page(params)
    payout, source = params.text("payout", default=""), params.text("source", default="")
    kind = params.text("type", default="")
    currency = params.text("currency", default="").upper()
    params.end()

    def wanted(line: BalanceLine) -> bool:
        movement = line.movement
        return (
            (not payout or line.payout == payout)
            and (not source or movement.source == source)
            and (not kind or movement.type == kind)
            and (not currency or movement.currency == currency)
        )

    body = page.answer(
        desk,
        request.path,
        filter(wanted, balance_lines(desk)),
        name=lambda line: line.movement.id,
        at=lambda line: line.movement.at,
        body=transaction_json,
    )
    return answer(body)


async def get_transaction(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/balance_transactions/{id}`."""
    params, name = Params(await form_of(request)), request.match_info["id"]
    params.end()
    body = object_of(desk, name) if name.startswith("txn_") else None
    if body is None:
        raise Refused(Code.NOT_FOUND, f"No such balance transaction: '{name}'", "id")
    return answer(expanded(desk, body, params.expand))


def _payouts(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    book = desk.book
    own = [(payout.id, payout_json(desk, payout)) for payout in book.payouts.values()]
    batches = [line for entry in book.settlements for line in batch_lines(desk, entry)]
    return own + [(line.movement.source, batch_payout_json(line)) for line in batches]
