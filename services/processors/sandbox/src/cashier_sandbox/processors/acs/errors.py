"""How a 3DS server says no: EMV's error message (`Erro`) and its codes."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.flows.refusals import MAY_HAVE_HAPPENED, Code, Refused
from cashier_sandbox.http.answers import RETRY_AFTER_S, STATUS, answer
from cashier_sandbox.http.dialect import NATIVE, Dialect

VERSION = "2.2.0"
MISSING, MALFORMED = "201", "203"
# EMV 3DS 2.2, table A.4. A refused idempotency key is a message that should not have come.
_CODES: dict[Code, str] = {
    Code.INVALID_REQUEST: MALFORMED,
    Code.UNKNOWN_TOKEN: "305",
    Code.UNAUTHENTICATED: "303",
    Code.NOT_FOUND: "301",
    Code.STATE_REFUSED: "305",
    Code.RATE_LIMITED: "403",
    Code.SERVICE_UNAVAILABLE: "403",
    Code.INTERNAL_ERROR: "404",
}
_NOT_RECEIVABLE = "101"
DESCRIPTIONS: dict[str, str] = {
    "101": "Message Received Invalid",
    MISSING: "Required Data Element Missing",
    MALFORMED: "Format of one or more Data Elements is Invalid",
    "301": "Transaction ID Not Recognised",
    "303": "Access Denied, Invalid Endpoint",
    "305": "Transaction Data Not Valid",
    "402": "Transaction Timed Out",
    "403": "Transient System Failure",
    "404": "Permanent System Failure",
}


def error_json(code: str, component: str, detail: str) -> dict[str, object]:
    """Return an `Erro`; component S is the 3DS server, D the directory server, A the ACS."""
    return {
        "messageType": "Erro",
        "messageVersion": VERSION,
        "errorCode": code,
        "errorComponent": component,
        "errorDescription": DESCRIPTIONS[code],
        "errorDetail": detail,
    }


def _refusal(_request: web.Request, refused: Refused) -> web.Response:
    code = _CODES.get(refused.code, _NOT_RECEIVABLE)
    if code == MALFORMED and refused.message.endswith(" is required"):
        code = MISSING
    more = {
        "code": refused.code,
        "field": refused.where,
        "noEffect": refused.code not in MAY_HAVE_HAPPENED,
    }
    limited = refused.code is Code.RATE_LIMITED
    return answer(
        error_json(code, "S", refused.message) | more,
        status=STATUS[refused.code],
        headers={"Retry-After": str(RETRY_AFTER_S)} if limited else None,
    )


DIALECT = Dialect(
    authentic=NATIVE.authentic,
    how_to_authenticate=NATIVE.how_to_authenticate,
    refusal=_refusal,
)
