"""Adyen's messages: what each operation asks for, and what an answer says about a call."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from cashier_gateway.clients.adyen.units import AmountNotExpressible, from_adyen, to_adyen
from cashier_gateway.clients.declines import Codes
from cashier_gateway.domain.call import Call, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Action, Answer

CHECKOUT: Final = "/v71"
PAYOUT: Final = "/pal/servlet/Payout/v68"
MODIFICATIONS: Final = {Kind.CAPTURE: "captures", Kind.VOID: "cancels", Kind.REFUND: "refunds"}
ACTIONS: Final = frozenset(
    {"RedirectShopper", "IdentifyShopper", "ChallengeShopper", "PresentToShopper"}
)
# Adyen's closed list; another reason is ours alone and is not sent.
REFUND_REASONS: Final = frozenset({"FRAUD", "CUSTOMER REQUEST", "RETURN", "DUPLICATE", "OTHER"})
# Adyen requires a return address of every payment. A customer who is not there returns nowhere.
NO_RETURN_URL: Final = "https://return.invalid/"
# "Maximum 22 characters, otherwise banks might truncate the string."
STATEMENT_MAX_CHARS: Final = 22
# Adyen calls a payment with 100 points or more a fraud.
FRAUD_SCORE_MAX: Final = 100
PPM_PER_POINT: Final = 10_000
HTTP_SERVER_FAULT: Final = 500
HTTP_NAMED: Final = frozenset({401, 403, 429})


class RequestLost(Exception):
    """The row of this call holds no request, so it cannot be sent."""


def request_of(call: Call) -> Request:
    """What the call asks for; RequestLost for a tombstone."""
    if call.request is None:
        raise RequestLost(call.operation)
    return call.request


def path_of(call: Call) -> str:
    """Where the call's kind is asked for, below the account's address."""
    request = request_of(call)
    if request.kind is Kind.AUTHORIZE:
        return f"{CHECKOUT}/payments"
    if request.kind is Kind.PAYOUT:
        return f"{PAYOUT}/payout"
    if not request.authorization_reference:  # only a cancel has a way by our own name
        return f"{CHECKOUT}/cancels"
    return f"{CHECKOUT}/payments/{request.authorization_reference}/{MODIFICATIONS[request.kind]}"


def body_of(call: Call, merchant_account: str) -> dict[str, Any]:
    """The JSON of the request; AmountNotExpressible where Adyen has no such amount."""
    request = request_of(call)
    body: dict[str, Any] = {"merchantAccount": merchant_account, "reference": call.operation}
    if request.kind is not Kind.VOID:
        body["amount"] = to_adyen(call.amount)
    if request.kind is Kind.AUTHORIZE:
        body |= _payment(request)
    elif request.kind is Kind.PAYOUT:
        body["selectedRecurringDetailReference"] = request.token
        if request.customer_id:
            body["shopperReference"] = request.customer_id
    elif request.kind is Kind.VOID and not request.authorization_reference:
        body["paymentReference"] = request.target
    elif request.kind is Kind.REFUND and request.reason.upper() in REFUND_REASONS:
        body["merchantRefundReason"] = request.reason.upper()
    return body


def answer_of(call: Call, body: object, codes: Codes) -> Answer:
    """What a 2xx answer says about the call; CONFLICT when it is not about what we asked for."""
    if not isinstance(body, Mapping):
        return unreadable("something that is no object")
    if body.get("resultCode") in ACTIONS:
        # It has no pspReference yet: Adyen tells that when the customer has done it.
        return _action_answer(call, body)
    if type(body.get("pspReference")) is not str:
        return unreadable("something without its pspReference")
    if request_of(call).kind in MODIFICATIONS:
        return _modification_answer(call, body)
    return _payment_answer(call, body, codes)


def error_answer(call: Call, status: int, body: object, codes: Codes) -> Answer:
    """What a refused request says; what is in no row says nothing."""
    found = body.get("errorCode") if isinstance(body, Mapping) else None
    code = f"http_{status}" if status in HTTP_NAMED else found
    operation = request_of(call).kind.value
    if (
        status >= HTTP_SERVER_FAULT  # the effect of a server's fault is never known
        or type(code) is not str
        or not codes.errors.knows(operation=operation, code=code)
    ):
        return Answer(Event.LOSE_TRACK, f"Adyen answered HTTP {status}")
    event, decline = codes.errors.read(operation=operation, code=code, advice="")
    detail = f"Adyen answered HTTP {status} {code}"
    if event is Event.LOSE_TRACK:
        return Answer(event, detail)
    return Answer(event, detail, decline=decline, of_request=True)


def not_expressible(call: Call, error: AmountNotExpressible, codes: Codes) -> Answer:
    """The money cannot be said in Adyen's units, so nothing was sent."""
    _, decline = codes.errors.read(operation=request_of(call).kind.value, code="137", advice="")
    return Answer(Event.DECLINE_HARD, str(error), decline=decline, of_request=True)


def unreadable(what: str) -> Answer:
    """An answer that we do not recognise."""
    return Answer(Event.LOSE_TRACK, f"Adyen answered {what}")


def advice_of(extra: object) -> str:
    """The two digits of a merchantAdviceCode such as `03 : Do not try again`; else empty."""
    said = extra.get("merchantAdviceCode") if isinstance(extra, Mapping) else None
    head = said[:2] if type(said) is str else ""
    return head if head.isascii() and head.isdigit() else ""


def _payment(request: Request) -> dict[str, Any]:
    """The fields of a payment; the token is a stored payment method of Adyen's."""
    facts: dict[str, Any] = {
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": request.token},
        "returnUrl": request.return_url or NO_RETURN_URL,
    }
    if request.capture:
        facts["captureDelayHours"] = 0
    else:
        facts["additionalData"] = {"manualCapture": "true"}
    if request.customer_id:  # Adyen wants these three together or not at all
        facts["shopperReference"] = request.customer_id
        facts["shopperInteraction"] = "ContAuth"
        model = "UnscheduledCardOnFile" if request.off_session else "CardOnFile"
        facts["recurringProcessingModel"] = model
    if request.customer_country:
        facts["countryCode"] = request.customer_country
    if request.statement_descriptor:
        facts["shopperStatement"] = request.statement_descriptor[:STATEMENT_MAX_CHARS]
    return facts


def _payment_answer(call: Call, body: Mapping[str, Any], codes: Codes) -> Answer:
    reference = str(body["pspReference"])
    named = body.get("merchantReference")
    if request_of(call).kind is Kind.AUTHORIZE and type(named) is not str:
        return unreadable("a payment without its merchantReference")
    if type(named) is str and named != call.operation:
        return Answer(Event.CONFLICT, "the payment carries another reference", reference)
    conflict = _amount_conflict(call, body, reference)
    if conflict is not None:
        return conflict
    return _by_result(call, body, reference, codes)


def _by_result(call: Call, body: Mapping[str, Any], reference: str, codes: Codes) -> Answer:
    result, risk_ppm = body.get("resultCode"), _risk_ppm(body)
    match result:
        case "Authorised":
            # Adyen says PartiallyAuthorised where it is less than what was asked for.
            detail = "the payment is authorised"
            return Answer(Event.SUCCEED, detail, reference, call.amount, risk_ppm=risk_ppm)
        case "PartiallyAuthorised":
            detail = "only a part of the payment is authorised"
            return Answer(Event.CONFLICT, detail, reference)
        case "Pending" | "Received":
            return Answer(Event.PEND, f"the payment is {result}", reference, risk_ppm=risk_ppm)
        case "Refused" | "Cancelled" | "Error":
            return _refused(call, body, reference, codes)
    return Answer(Event.LOSE_TRACK, "the payment is in a state that we do not know", reference)


def _refused(call: Call, body: Mapping[str, Any], reference: str, codes: Codes) -> Answer:
    found, extra = body.get("refusalReasonCode"), body.get("additionalData")
    result = str(body["resultCode"])
    code = found if type(found) is str and found else result
    event, decline = codes.declines.read(
        operation=request_of(call).kind.value, code=code, advice=advice_of(extra)
    )
    raw = extra.get("refusalReasonRaw") if isinstance(extra, Mapping) else None
    detail = f"Adyen answered {result}: {code}"
    if type(raw) is str:
        detail += f" ({raw[:64]})"
    return Answer(event, detail, reference, decline=decline, risk_ppm=_risk_ppm(body))


def _modification_answer(call: Call, body: Mapping[str, Any]) -> Answer:
    """`received` is all that Adyen says of a capture, cancel or refund: a webhook ends it."""
    reference = str(body["pspReference"])
    request = request_of(call)
    root, theirs = request.authorization_reference, body.get("paymentPspReference")
    if theirs != root and (root or body.get("paymentReference") != request.target):
        return Answer(Event.CONFLICT, "the answer is about another payment", reference)
    if body.get("reference") not in {None, call.operation}:
        return Answer(Event.CONFLICT, "the answer carries another reference", reference)
    conflict = _amount_conflict(call, body, reference)
    if conflict is not None:
        return conflict
    if body.get("status") != "received":
        return Answer(Event.LOSE_TRACK, "Adyen answered a state that we do not know", reference)
    return Answer(Event.PEND, "Adyen has received the request", reference)


def _amount_conflict(call: Call, body: Mapping[str, Any], reference: str) -> Answer | None:
    """The answer when the amount that was told is not ours; Adyen need not tell one."""
    amount = body.get("amount")
    if amount is None or request_of(call).kind is Kind.VOID:
        return None
    value = amount.get("value") if isinstance(amount, Mapping) else None
    currency = amount.get("currency") if isinstance(amount, Mapping) else None
    if type(value) is not int or type(currency) is not str:
        return Answer(Event.LOSE_TRACK, "Adyen answered an amount that is none", reference)
    try:
        seen = from_adyen(value, currency)
    except AmountNotExpressible:
        seen = None
    if seen == call.amount:
        return None
    return Answer(Event.CONFLICT, f"the answer is over {value} {currency[:8]}", reference, seen)


def _action_answer(call: Call, body: Mapping[str, Any]) -> Answer:
    result, action, found = body["resultCode"], body.get("action"), body.get("pspReference")
    reference = found if type(found) is str else ""
    if body.get("merchantReference") not in {None, call.operation}:
        return Answer(Event.CONFLICT, "the payment carries another reference", reference)
    if not isinstance(action, Mapping):
        return Answer(Event.LOSE_TRACK, f"Adyen answered {result} without its action", reference)
    url = action.get("url")
    if action.get("type") == "redirect" and action.get("method") == "GET" and type(url) is str:
        told = Action(url=url)
    else:  # 3DS, a QR code, a voucher, a redirect by POST: Adyen's own component shows it
        told = Action(sdk="adyen", data={"action": orjson.dumps(action).decode()})
    detail, risk_ppm = f"the customer has to act: {result}", _risk_ppm(body)
    return Answer(Event.REQUIRE_ACTION, detail, reference, action=told, risk_ppm=risk_ppm)


def _risk_ppm(body: Mapping[str, Any]) -> int | None:
    fraud = body.get("fraudResult")
    score = fraud.get("accountScore") if isinstance(fraud, Mapping) else None
    if type(score) is not int:
        return None
    return min(max(score, 0), FRAUD_SCORE_MAX) * PPM_PER_POINT
