"""How dLocal says no: an HTTP status, a number, a sentence, and the parameter that is wrong."""

from __future__ import annotations

import orjson
from aiohttp import web

from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.answers import RETRY_AFTER_S
from cashier_sandbox.http.dialect import Dialect
from cashier_sandbox.processors.dlocal.signing import HOW_TO

# Status and number of each refusal, after dLocal's pages "Payments HTTP Errors" and "HTTP errors".
# What it answers to a key that comes with another body, or comes while the first is at work, is
# documented nowhere: 5000 "Invalid request" and 7000 "Failed to process the request".
_ERRORS: dict[Code, tuple[int, int]] = {
    Code.INVALID_REQUEST: (400, 5001),
    Code.UNKNOWN_TOKEN: (400, 5008),
    Code.IDEMPOTENCY_KEY_MISSING: (400, 5001),
    Code.UNAUTHENTICATED: (403, 3001),
    Code.NOT_FOUND: (404, 4000),
    Code.METHOD_NOT_ALLOWED: (405, 5000),
    Code.IDEMPOTENCY_MISMATCH: (400, 5000),
    Code.KEY_IN_PROGRESS: (500, 7000),
    Code.KEY_CLOSED: (400, 5000),
    Code.STATE_REFUSED: (400, 5002),
    Code.BODY_TOO_LARGE: (413, 5000),
    Code.RATE_LIMITED: (429, 6000),
    Code.SERVICE_UNAVAILABLE: (503, 7000),
}
_BROKEN = (500, 7000)
AMOUNT_EXCEEDED = 5007
_MESSAGES = {
    3001: "Invalid credentials.",
    5002: "Invalid transaction status.",
    5007: "Amount exceeded.",
    5008: "Token not found or inactive.",
    6000: "Too many requests to the API.",
    7000: "Failed to process the request.",
}


def rejected(number: int, message: str, param: str | None = None, *, status: int = 400) -> Refused:
    """Return a refusal with a number of dLocal's own; nothing was done."""
    more = {"code": str(number), "status": str(status)}
    return Refused(Code.INVALID_REQUEST, message, param, more)


def _refusal(_request: web.Request, refused: Refused) -> web.Response:
    status, number = _ERRORS.get(refused.code, _BROKEN)
    if refused.code is Code.STATE_REFUSED and refused.where == "amount":
        number = AMOUNT_EXCEEDED
    status = int(refused.more.get("status", status))
    number = int(refused.more.get("code", number))
    message = _MESSAGES.get(number, refused.message)
    if number == _ERRORS[Code.INVALID_REQUEST][1] and refused.where:
        message = f"Invalid parameter: {refused.where}"
    body: dict[str, object] = {"code": number, "message": message}
    if refused.where:
        body["param"] = refused.where
    headers = {"Retry-After": str(RETRY_AFTER_S)} if refused.code is Code.RATE_LIMITED else None
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json"
    )


DIALECT = Dialect(
    # Payins and payouts prove themselves differently: each route asks for its own proof.
    authentic=lambda _request, _secret: True,
    how_to_authenticate=HOW_TO,
    refusal=_refusal,
)
