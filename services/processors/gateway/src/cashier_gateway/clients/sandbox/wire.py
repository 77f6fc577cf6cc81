"""The sandbox's messages: what we send, and what its answers mean for a call."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.domain.call import Call, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Action, Answer

Body: TypeAlias = dict[str, Any]

HTTP_CREATED: Final = 201
# What the sandbox calls each kind in the look-up of a key.
OPERATIONS: Final = {
    Kind.AUTHORIZE: "charge",
    Kind.CAPTURE: "capture",
    Kind.VOID: "void",
    Kind.REFUND: "refund",
    Kind.PAYOUT: "payout",
}
# The sandbox's limit of one metadata value.
REASON_MAX_CHARS: Final = 500


class RequestLost(Exception):
    """The row of this call holds no request, so it cannot be sent."""


def request_of(call: Call) -> tuple[str, Body]:
    """Path and body of the request; its amounts are the same minor units as ours."""
    if call.request is None:
        raise RequestLost(call.operation)
    return _REQUESTS[call.request.kind](call, call.request)


def answer_of(call: Call, kind: Kind, resource: object, codes: Codes) -> Answer:
    """What the resource says about the call; CONFLICT when it is not what we asked for."""
    if not isinstance(resource, Mapping):
        return unreadable("something else than a resource")
    return _ANSWERS[kind](call, resource, codes)


def key_answer(call: Call, status: int, body: object, codes: Codes) -> Answer:
    """What the look-up of our idempotency key says about the call."""
    if status != 200 or not isinstance(body, Mapping):  # noqa: PLR2004 - HTTP OK
        return Answer(Event.LOSE_TRACK, f"the key could not be looked up: HTTP {status}")
    match body.get("status"):
        case "used":
            return _used_answer(call, body, codes)
        case "closed":
            return Answer(Event.CLOSE, "nothing was done under the key, and the key is closed")
        case "unused" | "in_progress" as told:
            return Answer(Event.LOSE_TRACK, f"the key is {told}: something still may be done")
    return unreadable("a key in a state that we do not know")


def error_answer(kind: Kind, status: int, body: object, codes: Codes) -> Answer:
    """What a refused request says; without the sandbox's own words it says nothing."""
    error = body.get("error") if isinstance(body, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    if type(code) is not str or not codes.errors.knows(operation=kind, code=code):
        return Answer(Event.LOSE_TRACK, f"the sandbox answered HTTP {status} without a known code")
    event, decline = codes.errors.read(operation=kind, code=code, advice="")
    detail = f"the sandbox answered HTTP {status} {code}"
    if event is Event.LOSE_TRACK or not isinstance(error, Mapping) or not error.get("no_effect"):
        return Answer(Event.LOSE_TRACK, detail)
    return Answer(event, detail, decline=decline, of_request=True)


def unreadable(what: str) -> Answer:
    """An answer that we do not recognise."""
    return Answer(Event.LOSE_TRACK, f"the sandbox answered {what}")


def _used_answer(call: Call, body: Mapping[str, Any], codes: Codes) -> Answer:
    kinds = [kind for kind, name in OPERATIONS.items() if name == body.get("operation")]
    if not kinds:
        return unreadable("a key that was used for something that we do not know")
    if call.request is not None and call.request.kind is not kinds[0]:
        return Answer(Event.CONFLICT, f"the key was used for a {body['operation']}")
    return answer_of(call, kinds[0], body.get("resource"), codes)


def _charge_request(call: Call, request: Request) -> tuple[str, Body]:
    return "/v1/charges", {
        "amount": call.amount.minor,
        "currency": call.amount.asset,
        "token": request.token,
        "reference": call.operation,
        "capture": request.capture,
    }


def _capture_request(call: Call, request: Request) -> tuple[str, Body]:
    return f"/v1/charges/{request.authorization_reference}/capture", {
        "amount": call.amount.minor,
        "reference": call.operation,
        "final": request.final,
    }


def _void_request(call: Call, request: Request) -> tuple[str, Body]:
    return f"/v1/charges/{request.authorization_reference}/void", {"reference": call.operation}


def _refund_request(call: Call, request: Request) -> tuple[str, Body]:
    body: Body = {
        "charge": request.authorization_reference,
        "amount": call.amount.minor,
        "reference": call.operation,
    }
    if request.reason:
        body["metadata"] = {"reason": request.reason[:REASON_MAX_CHARS]}
    return "/v1/refunds", body


def _payout_request(call: Call, request: Request) -> tuple[str, Body]:
    return "/v1/payouts", {
        "amount": call.amount.minor,
        "currency": call.amount.asset,
        "destination": request.token,
        "reference": call.operation,
    }


def _charge_answer(call: Call, charge: Mapping[str, Any], codes: Codes) -> Answer:
    reference = charge.get("id")
    if charge.get("object") != "charge" or type(reference) is not str:
        return unreadable("something else than a charge")
    wrong = _wrong_money(call, charge, reference) or _wrong_name(call, charge, reference)
    if wrong is not None:
        return wrong
    captured = call.request is None or call.request.capture
    match charge.get("status"):
        case "authorized" if not captured or call.request is None:
            return Answer(Event.SUCCEED, "the charge is authorized", reference, call.amount)
        case "authorized":
            detail = "the charge is only authorized, and was to be captured"
            return Answer(Event.CONFLICT, detail, reference, call.amount)
        case "requires_action":
            action = charge.get("action") or {}
            url = action.get("url") if isinstance(action, Mapping) else None
            if type(url) is not str:
                return unreadable("an action without its address")
            detail = "the payer has to open a page"
            return Answer(Event.REQUIRE_ACTION, detail, reference, action=Action(url=url))
        case "voided":
            return Answer(Event.CLOSE, "the charge was voided before any capture", reference)
    return _by_status(call, charge, reference, Kind.AUTHORIZE, codes)


def _capture_answer(call: Call, charge: Mapping[str, Any], codes: Codes) -> Answer:  # noqa: ARG001
    """A capture is a line of its charge; ours carries our operation."""
    wrong = _wrong_charge(call, charge)
    if wrong is not None:
        return wrong
    lines = [line for line in charge.get("captures") or () if isinstance(line, Mapping)]
    ours = [line for line in lines if line.get("reference") == call.operation]
    if len(ours) != 1 or type(ours[0].get("id")) is not str:
        detail = f"the charge has {len(ours)} captures of this operation"
        return Answer(Event.CONFLICT, detail, call.reference)
    [line] = ours
    line = {**line, "currency": charge.get("currency")}
    return _wrong_money(call, line, line["id"]) or Answer(
        Event.SUCCEED, "the capture succeeded", line["id"], call.amount
    )


def _void_answer(call: Call, charge: Mapping[str, Any], codes: Codes) -> Answer:  # noqa: ARG001
    """What was voided has no object of its own: the charge says what of it was released."""
    wrong = _wrong_charge(call, charge)
    if wrong is not None:
        return wrong
    reference, released = str(charge["id"]), charge.get("amount_voided")
    if type(released) is not int or charge.get("status") not in {"voided", "succeeded"}:
        return unreadable("a charge that is not voided")
    if released == 0 and charge["status"] == "voided":  # it waited, and held nothing
        return Answer(Event.SUCCEED, "the charge was voided before it held anything", reference)
    seen = {"amount": released, "currency": charge.get("currency")}
    return _wrong_money(call, seen, reference) or Answer(
        Event.SUCCEED, "the rest of the charge was released", reference, call.amount
    )


def _refund_answer(call: Call, refund: Mapping[str, Any], codes: Codes) -> Answer:
    reference = refund.get("id")
    if refund.get("object") != "refund" or type(reference) is not str:
        return unreadable("something else than a refund")
    if call.request is not None and refund.get("charge") != call.request.authorization_reference:
        return Answer(Event.CONFLICT, "the refund is of another charge", reference)
    wrong = _wrong_money(call, refund, reference) or _wrong_name(call, refund, reference)
    return wrong or _by_status(call, refund, reference, Kind.REFUND, codes)


def _payout_answer(call: Call, payout: Mapping[str, Any], codes: Codes) -> Answer:
    reference = payout.get("id")
    if payout.get("object") != "payout" or type(reference) is not str:
        return unreadable("something else than a payout")
    wrong = _wrong_money(call, payout, reference) or _wrong_name(call, payout, reference)
    return wrong or _by_status(call, payout, reference, Kind.PAYOUT, codes)


def _by_status(
    call: Call, resource: Mapping[str, Any], reference: str, kind: Kind, codes: Codes
) -> Answer:
    what = OPERATIONS[kind]
    match resource.get("status"):
        case "succeeded":
            return Answer(Event.SUCCEED, f"the {what} succeeded", reference, call.amount)
        case "pending":
            return Answer(Event.PEND, f"the {what} is pending", reference)
        case "declined":
            reason = resource.get("decline") or {}
            code, advice = str(reason.get("code", "")), str(reason.get("advice", ""))
            event, decline = codes.declines.read(operation=kind, code=code, advice=advice)
            return Answer(event, f"the {what} was declined: {code}", reference, decline=decline)
    return unreadable(f"a {what} in a state that we do not know")


def _wrong_charge(call: Call, charge: Mapping[str, Any]) -> Answer | None:
    """Something else than the charge that a capture or void was for."""
    if charge.get("object") != "charge" or type(charge.get("id")) is not str:
        return unreadable("something else than a charge")
    if call.request is not None and charge["id"] != call.request.authorization_reference:
        return Answer(Event.CONFLICT, "the answer is about another charge", str(charge["id"]))
    return None


def _wrong_money(call: Call, said: Mapping[str, Any], reference: str) -> Answer | None:
    amount, currency = said.get("amount"), said.get("currency")
    if type(amount) is not int or type(currency) is not str:
        return unreadable("a resource without amount or currency")
    seen = Money(amount, currency)
    if seen == call.amount:
        return None
    detail = f"it is over {amount} {currency}, not {call.amount.minor} {call.amount.asset}"
    return Answer(Event.CONFLICT, detail, reference, seen)


def _wrong_name(call: Call, said: Mapping[str, Any], reference: str) -> Answer | None:
    if said.get("reference") == call.operation:
        return None
    return Answer(Event.CONFLICT, "it carries another reference", reference, call.amount)


_REQUESTS: Final[Mapping[Kind, Callable[[Call, Request], tuple[str, Body]]]] = {
    Kind.AUTHORIZE: _charge_request,
    Kind.CAPTURE: _capture_request,
    Kind.VOID: _void_request,
    Kind.REFUND: _refund_request,
    Kind.PAYOUT: _payout_request,
}
_ANSWERS: Final[Mapping[Kind, Callable[[Call, Mapping[str, Any], Codes], Answer]]] = {
    Kind.AUTHORIZE: _charge_answer,
    Kind.CAPTURE: _capture_answer,
    Kind.VOID: _void_answer,
    Kind.REFUND: _refund_answer,
    Kind.PAYOUT: _payout_answer,
}
