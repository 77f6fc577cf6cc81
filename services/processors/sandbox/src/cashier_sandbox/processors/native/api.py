"""The routes of the charges API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.native import challenge, mutate, read

Handler = Callable[[Desk, web.Request], Awaitable[web.Response]]
_COLLECTION = "{collection:charges|refunds|payouts}"


def routes(desk: Desk, files: read.Files) -> list[web.RouteDef]:
    """Return every route of one account."""

    async def health(_desk: Desk, _request: web.Request) -> web.Response:
        return answer({"status": "serving", "account": desk.account.name})

    async def file(_desk: Desk, request: web.Request) -> web.Response:
        return read.settlement_file(desk, request, files)

    def get(path: str, handler: Handler) -> web.RouteDef:
        return web.get(path, _bound(desk, handler), allow_head=False)

    def post(path: str, handler: Handler) -> web.RouteDef:
        return web.post(path, _bound(desk, handler))

    return [
        post("/v1/charges", mutate.post_charge),
        post("/v1/refunds", mutate.post_refund),
        post("/v1/payouts", mutate.post_payout),
        post("/v1/charges/{id}/capture", mutate.post_capture),
        post("/v1/charges/{id}/void", mutate.post_void),
        post("/v1/keys/{key}/close", mutate.post_close),
        get("/v1/keys/{key}", read.get_key),
        get("/v1/balance", read.get_balance),
        get("/v1/events", read.list_events),
        get("/v1/settlements", read.list_settlements),
        get("/v1/settlements/{id}", read.get_settlement),
        get("/v1/settlements/{id}/file", file),
        get(f"/v1/{_COLLECTION}", read.list_resources),
        get(f"/v1/{_COLLECTION}/{{id}}", read.get_resource),
        get("/challenges/{id}", challenge.show_challenge),
        post("/challenges/{id}", challenge.answer_challenge),
        get("/health", health),
    ]


def _bound(desk: Desk, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def call(request: web.Request) -> web.Response:
        return await handler(desk, request)

    return call
