"""`POST /payments` and `POST /payments/details`."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.domain.card_number import has_card_number
from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.script import behaviour_of
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.operate import Wish, create_charge
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.flows.resolve import resolve
from cashier_sandbox.http.fields import TOKEN_MAX_CHARS, Fields, checked_text, json_body
from cashier_sandbox.processors.adyen import known
from cashier_sandbox.processors.adyen.action import (
    Step,
    challenge_json,
    checked_return_url,
    identify_json,
    opened,
    redirect_json,
)
from cashier_sandbox.processors.adyen.amounts import take_amount
from cashier_sandbox.processors.adyen.errors import SERVER_FAULT, rejected, required
from cashier_sandbox.processors.adyen.order import ignore, order_of, take_merchant, take_reference
from cashier_sandbox.processors.adyen.wire import payment_json, said, twisted

# The encrypted fields of Adyen's test mode begin so; the sandbox's carry a token, never a card.
ENCRYPTED_TEST = "test_"
SHOPPER_REFERENCE_MAX_CHARS = 256
_INTERACTIONS = {"Ecommerce", "ContAuth", "Moto", "POS"}
_ABSENT = {"Subscription", "UnscheduledCardOnFile"}
_MODELS = {"CardOnFile", *_ABSENT}


async def post_payment(desk: Desk, request: web.Request) -> web.Response:
    """`POST /payments`: the first answer of its key, whatever became of the payment since."""
    body = await json_body(request)
    fields = Fields(body)
    take_merchant(desk, fields)
    amount, currency = take_amount(fields, desk.account.currencies)
    reference = take_reference(fields)
    if not reference:
        raise required("130", "reference")
    token = _token(fields.take("paymentMethod", None), amount)
    return_url = fields.take("returnUrl", None)
    if return_url is None:
        raise rejected("14_030", "Return URL is missing.", "returnUrl")
    return_url = checked_return_url(return_url)
    wish = Wish(
        reference=reference,
        metadata=fields.pairs("metadata"),
        capture=_captures_itself(fields),
        payer_present=_shopper_is_there(fields),
    )
    native = _prefers_native(fields.take("authenticationData", None))
    ignore(fields, known.PAYMENT)
    fields.end()
    ask = Ask(operation=Operation.CHARGE, token=token, currency=currency, amount=amount)
    done = await create_charge(desk, order_of(desk, request, body, ask), wish)
    charge = done.spent.resource
    if not isinstance(charge, Charge):
        raise TypeError("a payment made something that is no charge")
    if charge.status is not Status.REQUIRES_ACTION:
        return said(request, twisted(payment_json(charge), done.spent))
    waiting = identify_json(desk, charge) if native else redirect_json(desk, charge, return_url)
    return said(request, waiting)


async def post_details(desk: Desk, request: web.Request) -> web.Response:
    """`POST /payments/details`: finish what the payer did; repeating it changes nothing."""
    fields = Fields(await json_body(request))
    details = fields.take("details", None)
    ignore(fields, frozenset({"paymentData", "authenticationData", "threeDSAuthenticationOnly"}))
    fields.end()
    if not isinstance(details, dict):
        raise required("14_003", "details")
    name, step = opened(desk, details.get("redirectResult", details.get("threeDSResult")))
    charge = desk.book.charges.get(name)
    if charge is None:
        raise rejected("101", "Invalid details: the payment is not known", "details")
    if charge.status is Status.REQUIRES_ACTION:
        if step is Step.FINGERPRINT:
            return said(request, challenge_json(desk, charge))
        resolve(desk, name, decline="authentication_failed" if step is Step.DENY else None)
    return said(request, payment_json(desk.book.charges[name]))


def _token(method: object, amount: int) -> str:
    if not isinstance(method, dict):
        raise rejected("14_004", "Missing payment method details", "paymentMethod")
    fields = Fields(method)
    if fields.take("type", None) not in {"scheme", "card"}:
        message = "Payment details are not supported"
        raise rejected("905", message, "paymentMethod.type", status=SERVER_FAULT)
    given = [
        fields.take(name, None)
        for name in ("storedPaymentMethodId", "recurringDetailReference", "encryptedCardNumber")
    ]
    ignore(fields, known.CARD)
    # A card in the clear is refused before anything else is said about the request.
    if fields.take("number", None) is not None or fields.take("cvc", None) is not None:
        raise rejected("101", "Invalid card number: send a token, never a card", "paymentMethod")
    fields.end()
    values = [value for value in given if value is not None]
    if len(values) != 1:
        raise rejected("14_004", "Missing payment method details", "paymentMethod")
    token = checked_token("storedPaymentMethodId", values[0])
    if behaviour_of(token, amount) is None:
        raise Refused(Code.UNKNOWN_TOKEN, "", "paymentMethod")
    return token


def checked_token(name: str, value: object) -> str:
    """Return a token of the sandbox, also where it stands in an encrypted test field."""
    if isinstance(value, str) and has_card_number(value):
        raise rejected("101", "Invalid card number: send a token, never a card", name)
    return checked_text(name, value, most=TOKEN_MAX_CHARS).removeprefix(ENCRYPTED_TEST)


def _captures_itself(fields: Fields) -> bool:
    """The account captures at once; `manualCapture` asks it not to."""
    delay = fields.take("captureDelayHours", 0)
    if type(delay) is not int or delay != 0:
        raise invalid("captureDelayHours", "the sandbox captures at once or by request: send 0")
    additional = fields.take("additionalData", None)
    if additional is None:
        return True
    if not isinstance(additional, dict):
        raise invalid("additionalData", "additionalData must be an object of strings")
    return str(additional.get("manualCapture", "false")).lower() != "true"


def _prefers_native(data: object) -> bool:
    asked = data.get("threeDSRequestData") if isinstance(data, dict) else None
    return isinstance(asked, dict) and asked.get("nativeThreeDS") == "preferred"


def _shopper_is_there(fields: Fields) -> bool:
    """Whether somebody can be sent to a bank's page: a stored card alone does not say no."""
    interaction = fields.choice("shopperInteraction", _INTERACTIONS, default="Ecommerce")
    model = fields.choice("recurringProcessingModel", _MODELS, default="")
    shopper = fields.text("shopperReference", most=SHOPPER_REFERENCE_MAX_CHARS, default="")
    if not shopper and (model or interaction == "ContAuth"):
        raise required("14_005", "shopperReference")
    return model not in _ABSENT
