"""dLocal's answers: what a payment, refund, payout or refusal says about a call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.dlocal.units import AmountNotExpressible, from_dlocal
from cashier_gateway.clients.dlocal.wire import CODE_KINDS, request_of
from cashier_gateway.domain.call import Call, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Action, Answer

HTTP_OK: Final = 200
HTTP_NOT_FOUND: Final = 404
HTTP_SERVER_FAULT: Final = 500
ORDER_DUPLICATED: Final = 5009
# The row of declines.yaml for money that dLocal cannot say.
NOT_EXPRESSIBLE: Final = "5001"
SHOWN_MAX_CHARS: Final = 32
# What each kind's own object names of ours: the field, and what has to stand there.
_NAMES: Final = {
    Kind.AUTHORIZE: "order_id",
    Kind.CAPTURE: "order_id",
    Kind.PAYOUT: "external_id",
}
_TAKEN: Final = frozenset({"PAID", "AUTHORIZED"})
_EVENTS: Final[Mapping[tuple[Kind, str], Event]] = {
    (Kind.AUTHORIZE, "EXPIRED"): Event.CLOSE,
    (Kind.AUTHORIZE, "CANCELLED"): Event.CLOSE,
    (Kind.VOID, "CANCELLED"): Event.SUCCEED,
    (Kind.CAPTURE, "PAID"): Event.SUCCEED,
    (Kind.CAPTURE, "PENDING"): Event.PEND,
    (Kind.REFUND, "SUCCESS"): Event.SUCCEED,
    (Kind.REFUND, "PENDING"): Event.PEND,
    (Kind.PAYOUT, "PAID"): Event.SUCCEED,
    (Kind.PAYOUT, "PENDING"): Event.PEND,
    (Kind.PAYOUT, "DELIVERED"): Event.PEND,
    (Kind.PAYOUT, "ON_HOLD"): Event.PEND,
    (Kind.PAYOUT, "ON_HOLD_BY_COMPLIANCE"): Event.PEND,
}
_REFUSED: Final = frozenset(
    {(kind, "REJECTED") for kind in Kind if kind is not Kind.VOID}
    | {(Kind.REFUND, "CANCELLED"), (Kind.PAYOUT, "CANCELLED")}
)


def answer_of(call: Call, body: object, codes: Codes) -> Answer:
    """What a 200 says about the call; CONFLICT when it is not about what we asked for."""
    reference = body.get("id") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or type(reference) is not str or not reference:
        return unreadable("something without an id")
    request = request_of(call)
    conflict = _conflict(call, request, body, reference)
    if conflict is not None:
        return conflict
    status, code = _word(body, "status"), _word(body, "status_code")
    detail = f"dLocal says {status} {code}".strip()
    if (request.kind, status) == (Kind.AUTHORIZE, "PENDING"):
        return _waiting(request, body, detail, reference)
    if (request.kind, status) in _REFUSED:
        event, decline = codes.declines.read(
            operation=request.kind.value, code=code or status, advice=""
        )
        return Answer(event, detail, reference, decline=decline)
    event = _event(request, status)
    if event is Event.CONFLICT:
        detail = f"{detail}, which is not what was asked"
    elif event is Event.LOSE_TRACK:
        detail = f"{detail}, which says nothing of it"
    return Answer(event, detail, reference, call.amount if event is Event.SUCCEED else None)


def _event(request: Request, status: str) -> Event:
    if request.kind is Kind.AUTHORIZE and status in _TAKEN:
        asked = "PAID" if request.capture else "AUTHORIZED"
        return Event.SUCCEED if status == asked else Event.CONFLICT
    return _EVENTS.get((request.kind, status), Event.LOSE_TRACK)


def error_answer(call: Call, status: int, body: object, codes: Codes) -> Answer:
    """What a refused request says; what is in no row says nothing."""
    found = body.get("code") if isinstance(body, Mapping) else None
    code = str(found) if type(found) is int else ""
    operation = request_of(call).kind.value
    detail = f"dLocal answered HTTP {status} {code}".strip()
    # The effect of a server's fault is never known.
    if status >= HTTP_SERVER_FAULT or not codes.errors.knows(operation=operation, code=code):
        return Answer(Event.LOSE_TRACK, detail)
    event, decline = codes.errors.read(operation=operation, code=code, advice="")
    if event is Event.LOSE_TRACK:
        return Answer(event, detail)
    return Answer(event, detail, decline=decline, of_request=True)


def is_duplicated(status: int, body: object) -> bool:
    """Whether dLocal has an order of this name already: an earlier request of ours arrived."""
    return (
        HTTP_OK < status < HTTP_SERVER_FAULT
        and isinstance(body, Mapping)
        and body.get("code") == ORDER_DUPLICATED
    )


def not_expressible(call: Call, error: AmountNotExpressible, codes: Codes) -> Answer:
    """The money cannot be said in dLocal's numbers, so nothing was sent."""
    operation = request_of(call).kind.value
    _, decline = codes.errors.read(operation=operation, code=NOT_EXPRESSIBLE, advice="")
    return Answer(Event.DECLINE_HARD, str(error), decline=decline, of_request=True)


def unreadable(what: str) -> Answer:
    """An answer that we do not recognise."""
    return Answer(Event.LOSE_TRACK, f"dLocal answered {what}")


def moment(text: object) -> datetime | None:
    """A time as dLocal writes it, `2026-01-31T12:00:00.000+0000`; None where it is none."""
    if type(text) is not str:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None


def _conflict(
    call: Call, request: Request, body: Mapping[str, Any], reference: str
) -> Answer | None:
    """The answer when it is about another payment, another operation or another amount."""
    named = _NAMES.get(request.kind)
    if named and body.get(named) != call.operation:
        return Answer(Event.CONFLICT, f"the answer carries another {named}", reference)
    acted_on = {
        Kind.CAPTURE: ("authorization_id", request.authorization_reference),
        Kind.VOID: ("id", request.authorization_reference),
        Kind.REFUND: ("payment_id", request.target_reference or request.authorization_reference),
    }.get(request.kind)
    if acted_on and body.get(acted_on[0]) != acted_on[1]:
        return Answer(Event.CONFLICT, "the answer is about another payment", reference)
    if request.kind is Kind.VOID:  # it tells the payment's amount, not what was released
        return None
    currency = _word(body, "currency")
    try:
        seen = from_dlocal(body.get("amount"), currency)
    except AmountNotExpressible:
        seen = None
    if seen == call.amount:
        return None
    detail = f"the answer is over {str(body.get('amount'))[:SHOWN_MAX_CHARS]} {currency}"
    return Answer(Event.CONFLICT, detail, reference, seen)


def _waiting(request: Request, body: Mapping[str, Any], detail: str, reference: str) -> Answer:
    """A code to show, a page to open, or nothing that anybody can do."""
    ticket, secure = body.get("ticket"), body.get("three_dsecure")
    if request.method in CODE_KINDS:
        code = _word(ticket, "number") or _word(ticket, "barcode")
        url = _word(ticket, "image_url") or _word(body, "redirect_url")
        expires = moment(ticket.get("expiration_date")) if isinstance(ticket, Mapping) else None
        if not code and not url:
            return Answer(Event.LOSE_TRACK, f"{detail} without its code", reference)
        action = Action(
            url=url, kind=CODE_KINDS[request.method] if code else "", code=code, expire_at=expires
        )
        return Answer(Event.REQUIRE_ACTION, detail, reference, action=action)
    page = _word(secure, "redirect_url") or _word(body, "redirect_url")
    if page:
        return Answer(Event.REQUIRE_ACTION, detail, reference, action=Action(url=page))
    return Answer(Event.PEND, detail, reference)


def _word(body: object, name: str) -> str:
    """A text, or a number as text; empty where there is none."""
    value = body.get(name) if isinstance(body, Mapping) else None
    return str(value) if type(value) in {str, int} else ""
