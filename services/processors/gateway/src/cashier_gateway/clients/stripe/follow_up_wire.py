"""Stripe's messages about captures, voids, refunds and payouts, and what they say about a call."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from stripe import PaymentIntent, Payout, Refund
from stripe.params import (
    PaymentIntentCaptureParams,
    PayoutCreateParams,
    RefundCreateParams,
)

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.stripe.units import AmountNotExpressible, from_stripe, to_stripe
from cashier_gateway.clients.stripe.wire import OPERATION_FIELD, metadata_of
from cashier_gateway.domain.call import Call, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer

# Captures have no object of their own: each leaves a line in its intent's metadata, in the same
# request that captures. It names the operation's number; the value is Stripe's amount.
CAPTURE_FIELD_PREFIX: Final = "cashier_capture_"
CAPTURE_METADATA: Final = "capture_metadata"  # as `refused_fields` calls it


class StripeObject(Protocol):
    """What every object of the library can do."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields."""


def capture_params(
    call: Call, request: Request, *, refused: frozenset[str], multicapture: bool
) -> PaymentIntentCaptureParams:
    """What shall be taken of the intent; AmountNotExpressible."""
    amount, _ = to_stripe(call.amount)
    params: PaymentIntentCaptureParams = {"amount_to_capture": amount}
    if CAPTURE_METADATA not in refused:
        params["metadata"] = {_field(call): str(amount)}
    if multicapture and not request.final:
        params["final_capture"] = False
    return params


def refund_params(call: Call, request: Request, *, refused: frozenset[str]) -> RefundCreateParams:
    """What shall be given back; a reason that Stripe's closed list does not have stays with us."""
    amount, _ = to_stripe(call.amount)
    params: RefundCreateParams = {
        "payment_intent": request.authorization_reference,
        "amount": amount,
        "metadata": metadata_of(call),
    }
    match request.reason:
        case "duplicate" | "fraudulent" | "requested_by_customer" as reason:
            if "reason" not in refused:
                params["reason"] = reason
    return params


def payout_params(call: Call, request: Request) -> PayoutCreateParams:
    """What shall be paid out, and where to."""
    amount, currency = to_stripe(call.amount)
    return {
        "amount": amount,
        "currency": currency,
        "destination": request.token,
        "metadata": metadata_of(call),
    }


def names_operation(call: Call, found: StripeObject) -> bool:
    """Whether the object carries our operation."""
    return (found.to_dict().get("metadata") or {}).get(OPERATION_FIELD) == call.operation


def capture_answer(call: Call, intent: PaymentIntent, *, refused: frozenset[str]) -> Answer:
    """Whether the intent shows our capture; CONFLICT when the amounts do not add up."""
    seen = intent.to_dict()
    other = _other_intent(call, seen)
    if other is not None:
        return other
    reference = _charge_of(seen)
    received = _money(seen.get("amount_received", seen.get("amount")), seen.get("currency"))
    if received is None:
        return Answer(Event.LOSE_TRACK, "the intent has no amount that we can read")
    if CAPTURE_METADATA in refused:
        return _unmarked_capture(call, seen, received, reference)
    metadata: Mapping[str, Any] = seen.get("metadata") or {}
    if _field(call) not in metadata:
        return Answer(Event.LOSE_TRACK, "the intent does not show this capture")
    ours = _money(_whole(metadata[_field(call)]), seen.get("currency"))
    if ours != call.amount:
        return Answer(Event.CONFLICT, "the capture is over another amount", reference, ours)
    parts = [_whole(v) for k, v in metadata.items() if k.startswith(CAPTURE_FIELD_PREFIX)]
    if sum(part or 0 for part in parts) != seen.get("amount_received"):
        detail = "what the intent received is not what was captured"
        return Answer(Event.CONFLICT, detail, reference, received)
    return Answer(Event.SUCCEED, "the intent was captured", reference, call.amount)


def void_answer(call: Call, intent: PaymentIntent) -> Answer:
    """What was released; CONFLICT when it is another amount than ours."""
    seen = intent.to_dict()
    other = _other_intent(call, seen)
    if other is not None:
        return other
    reference, status = str(seen["id"]), seen.get("status")
    whole = _money(seen.get("amount"), seen.get("currency"))
    received = _money(seen.get("amount_received") or 0, seen.get("currency"))
    if whole is None or received is None or status not in {"canceled", "succeeded"}:
        return Answer(Event.LOSE_TRACK, f"the intent is {status}: nothing of it is released yet")
    released = whole - received
    if status == "succeeded" and released.minor == 0:
        return Answer(Event.LOSE_TRACK, "all of the intent was captured")
    if released != call.amount:
        detail = f"{released.minor} {released.asset} were released"
        return Answer(Event.CONFLICT, detail, reference, released)
    return Answer(Event.SUCCEED, "the rest of the intent was released", reference, released)


def refund_answer(call: Call, refund: Refund, codes: Codes) -> Answer:
    """What a refund says about the call."""
    seen = refund.to_dict()
    reference = str(seen.get("id", ""))
    wrong = _wrong(call, seen, reference)
    if wrong is not None:
        return wrong
    intent = seen.get("payment_intent")
    root = call.request.authorization_reference if call.request else ""
    if root and intent and _id(intent) != root:
        return Answer(Event.CONFLICT, "the refund is of another intent", reference, call.amount)
    match seen.get("status"):
        case "succeeded":
            return Answer(Event.SUCCEED, "the refund succeeded", reference, call.amount)
        case "pending" | "requires_action":
            return Answer(Event.PEND, "the refund is on its way", reference)
        case "failed" | "canceled" as status:
            code = str(seen.get("failure_reason") or status)
            return _failed(Kind.REFUND, code, reference, codes)
    return Answer(Event.LOSE_TRACK, "the refund is in a state that we do not know", reference)


def payout_answer(call: Call, payout: Payout, codes: Codes) -> Answer:
    """What a payout says about the call."""
    seen = payout.to_dict()
    reference = str(seen.get("id", ""))
    wrong = _wrong(call, seen, reference)
    if wrong is not None:
        return wrong
    match seen.get("status"):
        case "paid":
            return Answer(Event.SUCCEED, "the payout is paid", reference, call.amount)
        case "pending" | "in_transit":
            return Answer(Event.PEND, "the payout is on its way", reference)
        case "failed" | "canceled" as status:
            return _failed(Kind.PAYOUT, str(seen.get("failure_code") or status), reference, codes)
    return Answer(Event.LOSE_TRACK, "the payout is in a state that we do not know", reference)


def _unmarked_capture(
    call: Call, seen: Mapping[str, Any], received: Money, reference: str
) -> Answer:
    """Without metadata only a capture of the whole intent can be told from any other."""
    if seen.get("status") != "succeeded":
        return Answer(Event.LOSE_TRACK, "the intent is not captured so far")
    if received == call.amount and "amount_received" in seen:
        return Answer(Event.SUCCEED, "the intent was captured", reference, call.amount)
    whole = _money(seen.get("amount"), seen.get("currency"))
    if whole == call.amount:
        return Answer(Event.SUCCEED, "the whole intent was captured", reference, call.amount)
    return Answer(Event.LOSE_TRACK, "the intent was captured, and does not say by what", reference)


def _failed(kind: Kind, code: str, reference: str, codes: Codes) -> Answer:
    """What was accepted and then failed is over here, whatever its code would allow elsewhere."""
    _, decline = codes.declines.read(operation=kind, code=code, advice="")
    return Answer(Event.DECLINE_HARD, f"Stripe's {kind} failed: {code}", reference, decline=decline)


def _wrong(call: Call, seen: Mapping[str, Any], reference: str) -> Answer | None:
    money = _money(seen.get("amount"), seen.get("currency"))
    if money is None:
        return Answer(Event.LOSE_TRACK, "the answer has no amount that we can read", reference)
    if money != call.amount:
        detail = f"it is over {money.minor} {money.asset}"
        return Answer(Event.CONFLICT, detail, reference, money)
    if (seen.get("metadata") or {}).get(OPERATION_FIELD) != call.operation:
        return Answer(Event.CONFLICT, "it carries another operation", reference, money)
    return None


def _other_intent(call: Call, seen: Mapping[str, Any]) -> Answer | None:
    root = call.request.authorization_reference if call.request else ""
    if root and seen.get("id") != root:
        return Answer(Event.CONFLICT, "the answer is about another intent", str(seen.get("id", "")))
    return None


def _field(call: Call) -> str:
    return CAPTURE_FIELD_PREFIX + call.operation.rpartition("/")[2]


def _charge_of(seen: Mapping[str, Any]) -> str:
    charge = seen.get("latest_charge")
    return _id(charge) if charge else str(seen.get("id", ""))


def _id(thing: Any) -> str:  # noqa: ANN401 - an id, or the whole object where it was expanded
    return str(thing.get("id", "")) if isinstance(thing, Mapping) else str(thing)


def _whole(text: object) -> int | None:
    return int(text) if type(text) is str and text.isascii() and text.isdigit() else None


def _money(amount: object, currency: object) -> Money | None:
    if type(amount) is not int or type(currency) is not str:
        return None
    try:
        return from_stripe(amount, currency)
    except AmountNotExpressible:
        return None
