"""The routes of the imitation: payins behind a signature, payouts behind an access token."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.dlocal import modify, pay, payout, read
from cashier_sandbox.processors.dlocal.references import References
from cashier_sandbox.processors.dlocal.signing import (
    credentials_of,
    require_bearer,
    require_signature,
)
from cashier_sandbox.processors.native.challenge import answer_challenge, show_challenge

Handler = Callable[[References, web.Request], Awaitable[web.Response]]
Call = Callable[[web.Request], Awaitable[web.Response]]


def routes(desk: Desk, _files: object) -> list[web.RouteDef]:
    """Return every route of one account."""
    references, known = References(desk), credentials_of(desk.account)

    def payin(handler: Handler) -> Call:
        async def call(request: web.Request) -> web.Response:
            await require_signature(known, request)
            return await handler(references, request)

        return call

    def payout_call(handler: Handler) -> Call:
        async def call(request: web.Request) -> web.Response:
            require_bearer(known, request, int(time.time()))
            return await handler(references, request)

        return call

    async def token(request: web.Request) -> web.Response:
        return await payout.post_token(known, request)

    async def challenge(request: web.Request) -> web.Response:
        return await show_challenge(desk, request)

    async def pay_or_deny(request: web.Request) -> web.Response:
        return await answer_challenge(desk, request)

    async def health(_request: web.Request) -> web.Response:
        return answer({"status": "serving", "account": desk.account.name})

    return [
        web.post("/payments", payin(pay.post_payment)),
        web.get("/payments/{id}", payin(read.get_payment), allow_head=False),
        web.post("/payments/{id}/cancel", payin(modify.post_cancel)),
        web.get("/orders/{id}", payin(read.get_order), allow_head=False),
        web.post("/refunds", payin(modify.post_refund)),
        web.get("/refunds/{id}", payin(read.get_refund), allow_head=False),
        web.post("/oauth/token", token),
        web.post("/payouts/v3", payout_call(payout.post_payout)),
        web.get("/payouts/v3/{id}", payout_call(payout.get_payout), allow_head=False),
        web.get("/challenges/{id}", challenge, allow_head=False),
        web.post("/challenges/{id}", pay_or_deny),
        web.get("/health", health, allow_head=False),
    ]
