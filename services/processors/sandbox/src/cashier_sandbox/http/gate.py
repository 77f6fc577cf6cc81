"""What every request crosses: outage, caller, refusals, the unexpected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from cashier_sandbox.domain.conditions import OutageMode
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Code, ConnectionCut, Refused
from cashier_sandbox.http.dialect import NATIVE, Dialect

_log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# What a payer's browser or a health check asks without a key.
_OPEN = ("/health", "/challenges/", "/acs/", "/checkout")


def gate(
    secret: str, desk: Desk | None = None, dialect: Dialect = NATIVE
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return the middleware of an API whose callers present `secret` in the dialect's own way."""

    async def respond(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if desk and desk.conditions.outage:
                await _stand_outage(desk, desk.conditions.outage)
            _authenticate(request, secret, dialect)
            return await handler(request)
        except Refused as refused:
            return dialect.refusal(request, refused)
        except web.HTTPException as error:
            return dialect.refusal(request, _translated(request, error))

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await respond(request, handler)
        except ConnectionCut:
            return _cut(request)
        except Exception:  # noqa: BLE001  whatever breaks, the caller gets the documented answer
            _log.exception("request.broke", method=request.method, route=_route(request))
            broken = Refused(Code.INTERNAL_ERROR, "the sandbox itself broke; its log says where")
            response = dialect.refusal(request, broken)
        dialect.mark(request, response)
        away = desk and desk.conditions.outage in {OutageMode.LOST_ANSWER, OutageMode.HANG}
        return _cut(request) if away else response

    return middleware


async def _stand_outage(desk: Desk, mode: OutageMode) -> None:
    if mode is OutageMode.HTTP_503:
        raise Refused(Code.SERVICE_UNAVAILABLE, "the processor is not available; nothing was done")
    if mode is OutageMode.HANG:
        await desk.outage_over.wait()
        raise ConnectionCut
    if mode is OutageMode.REFUSE:
        raise ConnectionCut


def _authenticate(request: web.Request, secret: str, dialect: Dialect) -> None:
    if not request.path.startswith(_OPEN) and not dialect.authentic(request, secret):
        raise Refused(Code.UNAUTHENTICATED, dialect.how_to_authenticate)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # nobody receives it


def _translated(request: web.Request, error: web.HTTPException) -> Refused:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Refused(
            Code.BODY_TOO_LARGE,
            f"the body is too large; the limit is {request.client_max_size // 1024} KiB",
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Refused(Code.METHOD_NOT_ALLOWED, f"{request.method} is not for here; use {allowed}")
    if isinstance(error, web.HTTPNotFound):
        return Refused(Code.NOT_FOUND, "there is no such path; README.md lists all")
    return Refused(Code.INVALID_REQUEST, f"the request cannot be read: {error.reason}", "body")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "(none)"
