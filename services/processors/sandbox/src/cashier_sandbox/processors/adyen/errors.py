"""How Adyen says no: a status, its error code, and whether the same key may try again."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import orjson
from aiohttp import web

from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.answers import RETRY_AFTER_S
from cashier_sandbox.http.dialect import Dialect, same_secret

API_KEY = "X-API-Key"
IDEMPOTENCY_KEY = "Idempotency-Key"
# Adyen sends it where a repeat under the same key may be answered differently.
TRANSIENT = "transient-error"
UNPROCESSABLE = 422
FORBIDDEN = 403
SERVER_FAULT = 500


def rejected(
    error_code: str, message: str, where: str | None = None, *, status: int = UNPROCESSABLE
) -> Refused:
    """Return a refusal with an error code of Adyen's own; nothing was done."""
    more = {"errorCode": error_code, "status": str(status)}
    return Refused(Code.INVALID_REQUEST, message, where, more)


def required(error_code: str, field: str) -> Refused:
    """Return the refusal of a request that lacks a field."""
    return rejected(error_code, f"Required field '{field}' is not provided.", field)


@dataclass(frozen=True, slots=True)
class _Error:
    status: int
    error_code: str
    kind: str
    message: str | None = None
    transient: bool = False


_IN_PROGRESS = "request already processed or in progress"
# Adyen documents 704 for a request that is in progress, and 703 for keys that cannot be looked up.
# What it answers to a key that comes with another body is not documented: 704, and not transient.
_ERRORS: dict[Code, _Error] = {
    Code.INVALID_REQUEST: _Error(422, "702", "validation"),
    Code.UNKNOWN_TOKEN: _Error(422, "803", "validation", "PaymentDetail not found"),
    Code.IDEMPOTENCY_KEY_MISSING: _Error(422, "702", "validation"),
    Code.UNAUTHENTICATED: _Error(401, "000", "security", "HTTP Status Response - Unauthorized"),
    Code.NOT_FOUND: _Error(404, "000", "validation"),
    Code.METHOD_NOT_ALLOWED: _Error(405, "000", "validation"),
    Code.IDEMPOTENCY_MISMATCH: _Error(422, "704", "validation", _IN_PROGRESS),
    Code.KEY_IN_PROGRESS: _Error(409, "704", "validation", _IN_PROGRESS, transient=True),
    Code.KEY_CLOSED: _Error(422, "704", "validation", _IN_PROGRESS),
    Code.STATE_REFUSED: _Error(422, "705", "validation"),
    Code.BODY_TOO_LARGE: _Error(413, "702", "validation"),
    Code.RATE_LIMITED: _Error(429, "000", "internal", "Too many requests", transient=True),
    Code.SERVICE_UNAVAILABLE: _Error(503, "703", "internal", transient=True),
}
_BROKEN = _Error(500, "000", "internal")
_KINDS = {"901": "security", "905": "configuration"}
# Adyen gives a reference to what it has read and refused.
_REFERENCED = {403, 422, 500}
REFERENCE_CHARS = 16


def echo(request: web.Request) -> dict[str, str]:
    """Return the header that Adyen sends back where a request had a key."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    return {IDEMPOTENCY_KEY: key} if key and key.isascii() and key.isprintable() else {}


def _refusal(request: web.Request, refused: Refused) -> web.Response:
    error = _ERRORS.get(refused.code, _BROKEN)
    status = int(refused.more.get("status", error.status))
    error_code = refused.more.get("errorCode", error.error_code)
    headers = echo(request)
    if error.transient:
        headers[TRANSIENT] = "true"
    if refused.code is Code.RATE_LIMITED:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    body: dict[str, object] = {
        "status": status,
        "errorCode": error_code,
        "message": error.message or refused.message,
        "errorType": _KINDS.get(error_code, error.kind),
    }
    if status in _REFERENCED:
        body["pspReference"] = _reference(request)
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json"
    )


def _reference(request: web.Request) -> str:
    """Name the refusal: the same for the same key, and never that of a payment."""
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    name = sha256(f"refused {request.path} {key}".encode("utf-8", "surrogateescape")).hexdigest()
    return name[:REFERENCE_CHARS].upper()


def _authentic(request: web.Request, secret: str) -> bool:
    return same_secret(request.headers.get(API_KEY, ""), secret)


ADYEN = Dialect(
    authentic=_authentic,
    how_to_authenticate="HTTP Status Response - Unauthorized",
    refusal=_refusal,
)
