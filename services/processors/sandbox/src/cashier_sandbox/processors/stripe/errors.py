"""How Stripe says no: its error object, its statuses, its headers on every answer."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from uuid import uuid4

from aiohttp import web

from cashier_sandbox.domain.charge import Charge
from cashier_sandbox.domain.declines import DECLINES, Advice
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.answers import RETRY_AFTER_S, answer
from cashier_sandbox.http.dialect import Dialect, same_secret
from cashier_sandbox.http.fields import IDEMPOTENCY_KEY

API_VERSION = "2025-09-30.clover"
REPLAYED = {"Idempotent-Replayed": "true"}
HTTP_DECLINED = 402
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]{1,30})?")
_REQUEST_ERROR, _API_ERROR = "invalid_request_error", "api_error"

_SHAPES: dict[Code, tuple[int, str, str]] = {
    Code.INVALID_REQUEST: (400, _REQUEST_ERROR, ""),
    Code.UNKNOWN_TOKEN: (400, _REQUEST_ERROR, "resource_missing"),
    Code.IDEMPOTENCY_KEY_MISSING: (400, _REQUEST_ERROR, ""),
    Code.UNAUTHENTICATED: (401, _REQUEST_ERROR, ""),
    Code.NOT_FOUND: (404, _REQUEST_ERROR, "resource_missing"),
    Code.METHOD_NOT_ALLOWED: (404, _REQUEST_ERROR, ""),
    Code.IDEMPOTENCY_MISMATCH: (400, "idempotency_error", ""),
    Code.KEY_IN_PROGRESS: (409, _REQUEST_ERROR, "idempotency_key_in_use"),
    Code.KEY_CLOSED: (400, "idempotency_error", ""),
    Code.STATE_REFUSED: (400, _REQUEST_ERROR, ""),
    Code.NOTHING_TO_SETTLE: (400, _REQUEST_ERROR, ""),
    Code.BODY_TOO_LARGE: (413, _REQUEST_ERROR, ""),
    Code.RATE_LIMITED: (429, _REQUEST_ERROR, "rate_limit"),
    Code.INTERNAL_ERROR: (500, _API_ERROR, ""),
    Code.SERVICE_UNAVAILABLE: (503, _API_ERROR, ""),
}
_MISMATCH = (
    "Keys for idempotent requests can only be used with the same parameters they were first used "
    "with. Try using a key other than the one of this request if you meant another request."
)
# The sandbox's reason → Stripe's error code and decline code; all others are `card_declined`.
_DECLINE_CODES: dict[str, tuple[str, str]] = {
    "issuer_unavailable": ("card_declined", "issuer_not_available"),
    "withdrawal_limit_exceeded": ("card_declined", "withdrawal_count_limit_exceeded"),
    "expired_card": ("expired_card", "expired_card"),
    "incorrect_cvc": ("incorrect_cvc", "incorrect_cvc"),
    "processing_error": ("processing_error", "processing_error"),
    "authentication_required": ("authentication_required", "authentication_required"),
}
AUTHENTICATION_FAILED = "authentication_failed"
_ADVICE: dict[Advice, str] = {
    Advice.TRY_AGAIN: "try_again_later",
    Advice.NEVER_TRY_AGAIN: "do_not_try_again",
}


def decline_error(charge: Charge, method: str) -> dict[str, Any]:
    """Return what Stripe says about a declined charge, without the intent."""
    row = DECLINES[charge.decline or ""]
    if row.code == AUTHENTICATION_FAILED:
        return {
            "type": "invalid_request_error",
            "code": "payment_intent_authentication_failure",
            "message": "The provided PaymentMethod has failed authentication.",
        }
    code, decline_code = _DECLINE_CODES.get(row.code, ("card_declined", row.code))
    error = {
        "type": "card_error",
        "code": code,
        "decline_code": decline_code,
        "message": row.message,
        "charge": charge.id,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
    }
    if row.advice in _ADVICE:
        error["advice_code"] = _ADVICE[row.advice]
    if method:
        error["payment_method_type"] = "card"
    return error


def error_answer(error: dict[str, Any], status: int, *, replayed: bool) -> web.Response:
    """Return `{"error": …}`."""
    headers = dict(REPLAYED) if replayed else {}
    return answer({"error": error}, status=status, headers=headers)


def refusal(request: web.Request, refused: Refused) -> web.Response:
    """Return a refusal of ours as Stripe's error object."""
    status, kind, code = _SHAPES[refused.code]
    message = refused.message
    if refused.code is Code.IDEMPOTENCY_MISMATCH:
        message = _MISMATCH
    if refused.code is Code.METHOD_NOT_ALLOWED or message.startswith("there is no such path"):
        code = ""
        message = f"Unrecognized request URL ({request.method}: {_shown(request.path)})."
    error: dict[str, Any] = {"type": kind, "message": message}
    code = refused.more.get("code", code)
    if code:
        error["code"] = code
    if refused.where and refused.where != IDEMPOTENCY_KEY:
        error["param"] = refused.where
    response = error_answer(error, status, replayed=refused.replayed)
    if refused.code is Code.RATE_LIMITED:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Add Stripe's headers to an answer."""
    wanted = request.headers.get("Stripe-Version", "")
    response.headers["Request-Id"] = f"req_{uuid4().hex[:14]}"
    response.headers["Stripe-Version"] = wanted if _VERSION.fullmatch(wanted) else API_VERSION
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if key and key.isascii() and key.isprintable():
        response.headers[IDEMPOTENCY_KEY] = key


def _authentic(request: web.Request, secret: str) -> bool:
    """A bearer token, or the user name of Basic authentication as in Stripe's curl examples."""
    given = request.headers.get("Authorization", "")
    scheme, _, value = given.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode("ascii").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return same_secret(value, secret)


def _shown(path: str) -> str:
    return path if len(path) <= 100 and path.isprintable() else "…"  # noqa: PLR2004


DIALECT = Dialect(
    authentic=_authentic,
    how_to_authenticate=(
        "You did not provide the API key of this account. Send it as Authorization: Bearer <key>."
    ),
    refusal=refusal,
    mark=mark,
)
