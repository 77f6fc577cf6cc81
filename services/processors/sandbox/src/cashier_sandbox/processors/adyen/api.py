"""The routes of the imitation: Checkout v71 and v72, and card payouts v68."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.adyen import action, modify, pay, payout
from cashier_sandbox.processors.adyen.references import References
from cashier_sandbox.processors.native.challenge import show_challenge

Handler = Callable[[Desk, web.Request], Awaitable[web.Response]]
Modification = Callable[[Desk, web.Request, References], Awaitable[web.Response]]
# Adyen's library of 2026 asks for v72; for these paths both versions say the same.
_CHECKOUT = "/{version:v71|v72}"
PAYOUT = "/pal/servlet/Payout/v68/payout"
_MODIFICATIONS: dict[str, Modification] = {
    "captures": modify.post_capture,
    "cancels": modify.post_cancel,
    "refunds": modify.post_refund,
    "reversals": modify.post_reversal,
}


def routes(desk: Desk, _files: object) -> list[web.RouteDef]:
    """Return every route of one account."""
    references = References()

    def post(path: str, handler: Handler) -> web.RouteDef:
        async def call(request: web.Request) -> web.Response:
            return await handler(desk, request)

        return web.post(path, call)

    def modification(name: str, handler: Modification) -> web.RouteDef:
        async def call(request: web.Request) -> web.Response:
            return await handler(desk, request, references)

        return web.post(f"{_CHECKOUT}/payments/{{reference}}/{name}", call)

    async def health(_request: web.Request) -> web.Response:
        return answer({"status": "serving", "account": desk.account.name})

    async def challenge(request: web.Request) -> web.Response:
        return await show_challenge(desk, request)

    return [
        post(f"{_CHECKOUT}/payments", pay.post_payment),
        post(f"{_CHECKOUT}/payments/details", pay.post_details),
        post(f"{_CHECKOUT}/cancels", modify.post_cancel_by_reference),
        *(modification(name, handler) for name, handler in _MODIFICATIONS.items()),
        post(PAYOUT, payout.post_payout),
        web.get("/challenges/{id}", challenge, allow_head=False),
        post("/challenges/{id}", action.answer_challenge),
        web.get("/health", health, allow_head=False),
    ]
