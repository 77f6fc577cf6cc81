"""The routes of Stripe's API that are imitated, and what makes them an API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import orjson
from aiohttp import web

from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Refused
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.native import challenge
from cashier_sandbox.processors.stripe import disputes, intents, notices, payouts, refunds
from cashier_sandbox.processors.stripe.errors import refusal

Handler = Callable[[Desk, web.Request], Awaitable[web.Response]]
_SEE_OTHER = 303


class Files(Protocol):
    """Where settlement files are kept; Stripe's API hands out none."""

    def read(self, account: str, name: str) -> bytes:
        """Return a file; FileNotFoundError if it is gone."""


def routes(desk: Desk, _: Files) -> list[web.RouteDef]:
    """Return every route of one account."""

    def get(path: str, handler: Handler) -> web.RouteDef:
        return web.get(path, _bound(desk, handler), allow_head=False)

    def post(path: str, handler: Handler) -> web.RouteDef:
        return web.post(path, _bound(desk, handler))

    intent, dispute = "/v1/payment_intents", "/v1/disputes"
    endpoint = "/v1/webhook_endpoints"
    return [
        post(intent, intents.post_intent),
        get(intent, intents.list_intents),
        get(f"{intent}/search", intents.search_intents),
        get(f"{intent}/{{id}}", intents.get_intent),
        post(f"{intent}/{{id}}/confirm", intents.post_confirm),
        post(f"{intent}/{{id}}/capture", intents.post_capture),
        post(f"{intent}/{{id}}/cancel", intents.post_cancel),
        get("/v1/charges", refunds.list_charges),
        get("/v1/charges/{id}", refunds.get_charge),
        post("/v1/refunds", refunds.post_refund),
        get("/v1/refunds", refunds.list_refunds),
        get("/v1/refunds/{id}", refunds.get_refund),
        post("/v1/payouts", payouts.post_payout),
        get("/v1/payouts", payouts.list_payouts),
        get("/v1/payouts/{id}", payouts.get_payout),
        get("/v1/balance", payouts.get_balance),
        get("/v1/balance_transactions", payouts.list_transactions),
        get("/v1/balance_transactions/{id}", payouts.get_transaction),
        get(dispute, disputes.list_disputes),
        get(f"{dispute}/{{id}}", disputes.get_dispute),
        post(f"{dispute}/{{id}}", disputes.post_dispute),
        post(f"{dispute}/{{id}}/close", disputes.post_close),
        get("/v1/events", notices.list_events),
        get("/v1/events/{id}", notices.get_event),
        post(endpoint, notices.post_endpoint),
        get(endpoint, notices.list_endpoints),
        get(f"{endpoint}/{{id}}", notices.get_endpoint),
        web.delete(f"{endpoint}/{{id}}", _bound(desk, notices.delete_endpoint)),
        get("/challenges/{id}", challenge.show_challenge),
        post("/challenges/{id}", _answer_challenge),
        get("/health", _health),
    ]


async def _health(desk: Desk, _: web.Request) -> web.Response:
    return answer({"status": "serving", "account": desk.account.name})


async def _answer_challenge(desk: Desk, request: web.Request) -> web.Response:
    """The payer's answer; a browser goes back to the shop, as from Stripe's own page."""
    answered = await challenge.answer_challenge(desk, request)
    charge = desk.book.charges[request.match_info["id"]]
    intent = desk.book.intents.get(charge.intent)
    is_form = request.content_type == "application/x-www-form-urlencoded"
    if not is_form or intent is None or not intent.return_url:
        return answered
    told = urlencode({"payment_intent": intent.id, "redirect_status": _told(charge.decline)})
    joint = "&" if urlsplit(intent.return_url).query else "?"
    location = f"{intent.return_url}{joint}{told}"
    return web.Response(status=_SEE_OTHER, headers={"Location": location})


def _told(decline: str | None) -> str:
    return "failed" if decline else "succeeded"


def _bound(desk: Desk, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def call(request: web.Request) -> web.Response:
        try:
            return await handler(desk, request)
        except Refused as refused:
            if "payment_intent" not in refused.more:
                raise
            return _with_intent(desk, refusal(request, refused), refused.more["payment_intent"])

    return call


def _with_intent(desk: Desk, response: web.Response, name: str) -> web.Response:
    """Stripe's refusals about an intent carry the intent as it stands."""
    body = orjson.loads(response.text or "{}")
    body["error"]["payment_intent"] = intents.shown(desk, desk.book.intents[name])
    response.body = orjson.dumps(body)
    return response
