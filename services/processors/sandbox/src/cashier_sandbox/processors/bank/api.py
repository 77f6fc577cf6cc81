"""The routes of the bank's API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.bank import files, reports, rtp, tokens

Handler = Callable[[Desk, web.Request], Awaitable[web.Response]]


def routes(desk: Desk, _files: object) -> list[web.RouteDef]:
    """Return every route of one account."""

    def bound(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def call(request: web.Request) -> web.Response:
            return await handler(desk, request)

        return call

    async def health(_request: web.Request) -> web.Response:
        return answer({"status": "serving", "account": desk.account.name})

    def get(path: str, handler: Handler) -> web.RouteDef:
        return web.get(path, bound(handler), allow_head=False)

    return [
        web.post("/v1/bank_tokens", bound(tokens.post_token)),
        web.post("/ach/files/{id}", bound(files.post_file)),
        get("/ach/files/{id}", files.get_file),
        web.post("/ach/files/{id}/close", bound(files.close_file)),
        get("/ach/entries/{trace}", files.get_entry),
        get("/ach/reports", reports.list_reports),
        get("/ach/reports/{id}", reports.get_report),
        web.post("/rtp/credit_transfers", bound(rtp.post_transfer)),
        get("/rtp/credit_transfers/{id}", rtp.get_transfer),
        web.post("/rtp/credit_transfers/{id}/close", bound(rtp.close_transfer)),
        web.get("/health", health, allow_head=False),
    ]
