"""Answers as JSON, refusals with their documented status."""

from __future__ import annotations

import orjson
from aiohttp import web

from cashier_sandbox.flows.refusals import MAY_HAVE_HAPPENED, Code, Refused

STATUS: dict[Code, int] = {
    Code.INVALID_REQUEST: 400,
    Code.UNKNOWN_TOKEN: 400,
    Code.IDEMPOTENCY_KEY_MISSING: 400,
    Code.UNAUTHENTICATED: 401,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.IDEMPOTENCY_MISMATCH: 409,
    Code.KEY_IN_PROGRESS: 409,
    Code.KEY_CLOSED: 409,
    Code.DUPLICATE: 409,
    Code.STATE_REFUSED: 409,
    Code.NOTHING_TO_SETTLE: 409,
    Code.BODY_TOO_LARGE: 413,
    Code.RATE_LIMITED: 429,
    Code.INTERNAL_ERROR: 500,
    Code.SERVICE_UNAVAILABLE: 503,
}
RETRY_AFTER_S = 1


def answer(
    body: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def refusal(refused: Refused) -> web.Response:
    """Return the error answer of README §1.3."""
    retry = refused.code is Code.RATE_LIMITED
    return answer(
        {
            "error": {
                "code": refused.code,
                "message": refused.message,
                "field": refused.where,
                "no_effect": refused.code not in MAY_HAVE_HAPPENED,
            }
        },
        status=STATUS[refused.code],
        headers={"Retry-After": str(RETRY_AFTER_S)} if retry else None,
    )
