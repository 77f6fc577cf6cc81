"""The routes of the 3DS server, and of the ACS behind it that a cardholder's browser opens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256

import orjson
from aiohttp import web

from cashier_sandbox.domain.card_script import Case
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.flows.authenticate import ask, begin, found
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.perform import Order
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import Fields, idempotency_key, json_body
from cashier_sandbox.http.page import web_address
from cashier_sandbox.processors.acs import pages
from cashier_sandbox.processors.acs.request import read_card, read_request
from cashier_sandbox.processors.acs.wire import answer_json, authentication_json, versioning_json

Handler = Callable[[Desk, web.Request], Awaitable[web.Response]]
_REPLAYED = {"Idempotent-Replayed": "true"}
_NOTIFY = "threeDSMethodNotificationURL"


def routes(desk: Desk, _files: object) -> list[web.RouteDef]:
    """Return every route."""

    def bound(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def call(request: web.Request) -> web.Response:
            return await handler(desk, request)

        return call

    async def health(_request: web.Request) -> web.Response:
        return answer({"status": "serving", "account": desk.account.name})

    return [
        web.post("/3ds/versioning", bound(post_versioning)),
        web.post("/3ds/authenticate", bound(post_authenticate)),
        web.get("/3ds/authentications/{id}", bound(get_authentication), allow_head=False),
        web.post("/acs/method", bound(pages.run_method)),
        web.post("/acs/challenge", bound(pages.start_challenge)),
        web.get("/acs/challenges/{id}", bound(pages.show_challenge), allow_head=False),
        web.post("/acs/challenges/{id}", bound(pages.answer)),
        web.get("/health", health, allow_head=False),
    ]


async def post_versioning(desk: Desk, request: web.Request) -> web.Response:
    """`POST /3ds/versioning`: which versions a card has, and the URL of its method page."""
    key, body = idempotency_key(request), await json_body(request)
    fields = Fields(body)
    card = read_card(fields)
    notify = web_address(_NOTIFY, fields.take(_NOTIFY)) if fields.has(_NOTIFY) else ""
    fields.end()
    done = await begin(desk, _order(key, request, body), card)
    authentication = found(desk, done.spent.news.entry.id)
    if authentication.script.case is Case.VERSIONING_SLOW:
        await asyncio.sleep(authentication.script.wait_ms / 1000)
    said = versioning_json(desk, authentication, notify)
    return answer(said, headers=_REPLAYED if done.replayed else None)


async def post_authenticate(desk: Desk, request: web.Request) -> web.Response:
    """`POST /3ds/authenticate`: the AReq; answers the ARes, or the `Erro` that came instead."""
    key, body = idempotency_key(request), await json_body(request)
    name, card, asked = read_request(body, desk.account.currencies)
    found(desk, name)
    done = await ask(desk, _order(key, request, body), name, card, asked)
    authentication = found(desk, name)
    script = authentication.script
    if script.case is Case.AREQ_TIMEOUT and not done.replayed:
        await asyncio.sleep(script.wait_ms / 1000)
    said = answer_json(desk, authentication)
    return answer(said, headers=_REPLAYED if done.replayed else None)


async def get_authentication(desk: Desk, request: web.Request) -> web.Response:
    """`GET /3ds/authentications/{threeDSServerTransID}`: what is known now."""
    return answer(authentication_json(found(desk, request.match_info["id"])))


def _order(key: str, request: web.Request, body: dict[str, object]) -> Order:
    parsed = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    fingerprint = sha256(request.path.encode() + b"\n" + parsed).hexdigest()
    asking = Ask(operation=Operation.AUTHENTICATION, token="", currency="", amount=0)
    return Order(key=key, fingerprint=fingerprint, ask=asking)
