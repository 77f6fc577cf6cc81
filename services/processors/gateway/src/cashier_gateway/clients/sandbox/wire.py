"""The sandbox's messages: what we send, and what its answers mean for a call."""

from collections.abc import Mapping
from typing import Any, Final

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Action, Answer

OPERATION: Final = "authorize"
HTTP_CREATED: Final = 201


class RequestLost(Exception):
    """The row of this call holds no request, so it cannot be sent."""


def charge_request(call: Call) -> dict[str, Any]:
    """The body of `POST /v1/charges`; its amounts are the same minor units as ours."""
    if call.request is None:
        raise RequestLost(call.operation)
    return {
        "amount": call.amount.minor,
        "currency": call.amount.asset,
        "token": call.request.token,
        "reference": call.operation,
        "capture": call.request.capture,
    }


def charge_answer(call: Call, charge: object, codes: Codes) -> Answer:
    """What a charge says about the call; CONFLICT when it is not the one that we asked for."""
    if not isinstance(charge, Mapping) or charge.get("object") != "charge":
        return unreadable("something else than a charge")
    amount, currency, reference = charge.get("amount"), charge.get("currency"), charge.get("id")
    if type(amount) is not int or type(currency) is not str or type(reference) is not str:
        return unreadable("a charge without amount, currency or id")
    seen = Money(amount, currency)
    if seen != call.amount:
        detail = f"the charge is over {amount} {currency}, not {_said(call.amount)}"
        return Answer(Event.CONFLICT, detail, reference, seen)
    if charge.get("reference") != call.operation:
        return Answer(Event.CONFLICT, "the charge carries another reference", reference, seen)
    return _by_status(call, charge, reference, codes)


def key_answer(call: Call, status: int, body: object, codes: Codes) -> Answer:
    """What the look-up of our idempotency key says about the call."""
    if status != 200 or not isinstance(body, Mapping):  # noqa: PLR2004 - HTTP OK
        return Answer(Event.LOSE_TRACK, f"the key could not be looked up: HTTP {status}")
    match body.get("status"):
        case "used":
            return charge_answer(call, body.get("resource"), codes)
        case "closed":
            return Answer(Event.CLOSE, "nothing was done under the key, and the key is closed")
        case "unused" | "in_progress" as told:
            return Answer(Event.LOSE_TRACK, f"the key is {told}: something still may be done")
    return unreadable("a key in a state that we do not know")


def error_answer(status: int, body: object, codes: Codes) -> Answer:
    """What a refused request says; without the sandbox's own words it says nothing."""
    error = body.get("error") if isinstance(body, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    if type(code) is not str or not codes.errors.knows(operation=OPERATION, code=code):
        return Answer(Event.LOSE_TRACK, f"the sandbox answered HTTP {status} without a known code")
    event, decline = codes.errors.read(operation=OPERATION, code=code, advice="")
    detail = f"the sandbox answered HTTP {status} {code}"
    if event is Event.LOSE_TRACK or not isinstance(error, Mapping) or not error.get("no_effect"):
        return Answer(Event.LOSE_TRACK, detail)
    return Answer(event, detail, decline=decline, of_request=True)


def unreadable(what: str) -> Answer:
    """An answer that we do not recognise."""
    return Answer(Event.LOSE_TRACK, f"the sandbox answered {what}")


def _by_status(call: Call, charge: Mapping[str, Any], reference: str, codes: Codes) -> Answer:
    match charge.get("status"):
        case "succeeded":
            return Answer(Event.SUCCEED, "the charge succeeded", reference, call.amount)
        case "authorized" if call.request is None or not call.request.capture:
            return Answer(Event.SUCCEED, "the charge is authorized", reference, call.amount)
        case "authorized":
            detail = "the charge is only authorized, and was to be captured"
            return Answer(Event.CONFLICT, detail, reference, call.amount)
        case "pending":
            return Answer(Event.PEND, "the charge is pending", reference)
        case "requires_action":
            action = charge.get("action") or {}
            url = action.get("url") if isinstance(action, Mapping) else None
            if type(url) is not str:
                return unreadable("an action without its address")
            detail = "the payer has to open a page"
            return Answer(Event.REQUIRE_ACTION, detail, reference, action=Action(url=url))
        case "declined":
            reason = charge.get("decline") or {}
            code, advice = str(reason.get("code", "")), str(reason.get("advice", ""))
            event, decline = codes.declines.read(operation=OPERATION, code=code, advice=advice)
            return Answer(event, f"the charge was declined: {code}", reference, decline=decline)
        case "voided":
            return Answer(Event.CLOSE, "the charge was voided before any capture", reference)
    return unreadable("a charge in a state that we do not know")


def _said(amount: Money) -> str:
    return f"{amount.minor} {amount.asset}"
