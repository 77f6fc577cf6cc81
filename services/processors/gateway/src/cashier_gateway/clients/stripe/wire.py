"""Stripe's messages: what a PaymentIntent is asked to be, and what it says about a call."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from stripe import PaymentIntent, StripeError
from stripe.params import PaymentIntentConfirmParams, PaymentIntentCreateParams

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.stripe.units import AmountNotExpressible, from_stripe, to_stripe
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Action, Answer

# Stripe may forget a key after 24 hours; from then on it proves nothing and protects from nothing.
KEY_LIFE: Final = timedelta(hours=23)
# Metadata is how a person, an export or a look-up finds our operation at Stripe.
OPERATION_FIELD: Final = "cashier_operation"
MERCHANT_FIELD: Final = "cashier_merchant"
HTTP_DECLINED: Final = 402


class RequestLost(Exception):
    """The row of this call holds no request, so it cannot be sent."""


def intent_params(
    call: Call, *, confirm: bool, refused: frozenset[str], multicapture: bool = False
) -> PaymentIntentCreateParams:
    """What the intent shall be, without the fields in `refused`; AmountNotExpressible."""
    if call.request is None:
        raise RequestLost(call.operation)
    params = bare_intent_params(call)
    params["payment_method"] = call.request.token
    if "allowed_payment_method_types" not in refused:
        params["allowed_payment_method_types"] = ["card"]
    params["capture_method"] = "automatic" if call.request.capture else "manual"
    if multicapture and not call.request.capture:
        params["payment_method_options"] = {"card": {"request_multicapture": "if_available"}}
    if confirm:
        params["confirm"] = True
        params["off_session"] = call.request.off_session
        if call.request.return_url and "return_url" not in refused:
            params["return_url"] = call.request.return_url
    return params


def confirm_params(call: Call, *, refused: frozenset[str]) -> PaymentIntentConfirmParams:
    """What a confirmation adds; the payment method is the intent's own."""
    if call.request and call.request.return_url and "return_url" not in refused:
        return {"return_url": call.request.return_url}
    return {}


def bare_intent_params(call: Call) -> PaymentIntentCreateParams:
    """An intent that cannot charge: no payment method, not confirmed."""
    amount, currency = to_stripe(call.amount)
    return {"amount": amount, "currency": currency, "metadata": metadata_of(call)}


def metadata_of(call: Call) -> dict[str, str]:
    """What an object of ours carries at Stripe."""
    return {OPERATION_FIELD: call.operation, MERCHANT_FIELD: call.merchant}


def intent_answer(call: Call, intent: PaymentIntent, codes: Codes) -> Answer:
    """What the intent says about the call; CONFLICT when it is not the one that we asked for."""
    seen = intent.to_dict()
    reference = str(seen.get("id", ""))
    conflict = _conflict(call, seen, reference)
    if conflict is not None:
        return conflict
    match seen.get("status"):
        case "succeeded":
            return Answer(Event.SUCCEED, "the intent succeeded", reference, call.amount)
        case "requires_capture" if call.request is None or not call.request.capture:
            return Answer(Event.SUCCEED, "the intent waits for its capture", reference, call.amount)
        case "requires_capture":
            detail = "the intent waits for a capture, and was to be captured"
            return Answer(Event.CONFLICT, detail, reference, call.amount)
        case "processing":
            return Answer(Event.PEND, "the intent is being processed", reference)
        case "requires_action":
            return _action_answer(seen, reference)
        case "canceled":
            return Answer(Event.CLOSE, "the intent is canceled", reference)
        case "requires_payment_method" if seen.get("last_payment_error"):
            return _declined(Kind.AUTHORIZE, seen["last_payment_error"], reference, codes)
        case "requires_confirmation" | "requires_payment_method" as status:
            return Answer(Event.LOSE_TRACK, f"the intent {status}: nothing moved yet", reference)
    return Answer(Event.LOSE_TRACK, "the intent is in a state that we do not know", reference)


def error_answer(kind: Kind, error: StripeError, reference: str, codes: Codes) -> Answer:
    """What a refused request says; what is in no row says nothing."""
    status, body = error.http_status, error.json_body
    fault = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(fault, Mapping) or status is None:
        return Answer(
            Event.LOSE_TRACK, f"Stripe answered HTTP {status} without its error", reference
        )
    if status == HTTP_DECLINED:
        return _declined(kind, fault, reference, codes)
    for code in (fault.get("code"), fault.get("type")):
        if type(code) is str and codes.errors.knows(operation=kind, code=code):
            if status >= 500:  # noqa: PLR2004 - the effect of a server's fault is never known
                break
            event, decline = codes.errors.read(operation=kind, code=code, advice="")
            detail = f"Stripe answered HTTP {status} {code}"
            if event is Event.LOSE_TRACK:
                return Answer(event, detail, reference)
            return Answer(event, detail, reference, decline=decline, of_request=True)
    return Answer(Event.LOSE_TRACK, f"Stripe answered HTTP {status}", reference)


def not_expressible(error: AmountNotExpressible, codes: Codes) -> Answer:
    """The money cannot be said in Stripe's units, so nothing was sent."""
    _, decline = codes.errors.read(
        operation=Kind.AUTHORIZE, code="parameter_invalid_integer", advice=""
    )
    return Answer(Event.DECLINE_HARD, str(error), decline=decline, of_request=True)


def _conflict(call: Call, seen: Mapping[str, Any], reference: str) -> Answer | None:
    amount, currency = seen.get("amount"), seen.get("currency")
    if type(amount) is not int or type(currency) is not str:
        return Answer(Event.LOSE_TRACK, "the intent has no amount or currency", reference)
    try:
        money: Money | None = from_stripe(amount, currency)
    except AmountNotExpressible:
        money = None
    if money != call.amount:
        return Answer(Event.CONFLICT, f"the intent is over {amount} {currency}", reference, money)
    named = (seen.get("metadata") or {}).get(OPERATION_FIELD)
    if named != call.operation:
        return Answer(Event.CONFLICT, "the intent carries another operation", reference, money)
    received = seen.get("amount_received")
    at_once = call.request is None or call.request.capture  # later captures may be of a part
    if at_once and seen.get("status") == "succeeded" and received not in {None, amount}:
        part = from_stripe(received, currency) if type(received) is int else None
        return Answer(Event.CONFLICT, f"only {received} {currency} were received", reference, part)
    return None


def _declined(kind: Kind, fault: Mapping[str, Any], reference: str, codes: Codes) -> Answer:
    code = str(fault.get("decline_code") or fault.get("code") or "")
    advice = str(fault.get("network_advice_code") or fault.get("advice_code") or "")
    event, decline = codes.declines.read(operation=kind, code=code, advice=advice)
    return Answer(event, f"Stripe declined: {code}", reference, decline=decline)


def _action_answer(seen: Mapping[str, Any], reference: str) -> Answer:
    action = seen.get("next_action") or {}
    detail = "the customer has to authenticate"
    redirect = action.get("redirect_to_url") or {}
    if redirect.get("url"):
        return Answer(
            Event.REQUIRE_ACTION, detail, reference, action=Action(url=str(redirect["url"]))
        )
    secret = str(seen.get("client_secret", ""))
    return Answer(
        Event.REQUIRE_ACTION, detail, reference,
        action=Action(sdk="stripe", data={"client_secret": secret}),
    )  # fmt: skip
