"""dLocal's requests: what each operation asks for, and where."""

from typing import Any, Final
from urllib.parse import quote

import orjson

from cashier_gateway.clients.dlocal.units import to_dlocal
from cashier_gateway.domain.call import Call, Kind, Request
from cashier_gateway.domain.payer import CNPJ_DIGITS, CPF_DIGITS, NAME_MAX_CHARS, Payer

PAYMENTS: Final = "/payments"
PAYOUTS: Final = "/payouts/v3"
# dLocal's codes: CARD, PIX by QR code, OXXO.
METHODS: Final = {"CARD": "CARD", "PIX": "PQ", "VOUCHER": "OX"}
# What a code on a screen is, in our contract's words.
CODE_KINDS: Final = {"PIX": "PIX_QR", "VOUCHER": "VOUCHER"}
# Money to a PIX key; elsewhere to an account: a CLABE in Mexico, over SPEI.
INSTANT: Final = {"BR"}
DESCRIPTION_MAX_CHARS: Final = 100
# Kinds of which a request names the person; the others act on what he did.
OF_A_PERSON: Final = frozenset({Kind.AUTHORIZE, Kind.PAYOUT})


class RequestLost(Exception):
    """The row of this call holds no request, so it cannot be sent."""


class PayerLost(Exception):
    """Who pays is not known any more, so the request cannot be made again."""


def request_of(call: Call) -> Request:
    """What the call asks for; RequestLost for a tombstone."""
    if call.request is None:
        raise RequestLost(call.operation)
    return call.request


def ask_of(call: Call) -> tuple[str, bytes]:
    """Path and body of the request; AmountNotExpressible or PayerLost where there is none."""
    request = request_of(call)
    if request.kind is Kind.VOID:
        return f"{PAYMENTS}/{quote(request.authorization_reference, safe='')}/cancel", b""
    body: dict[str, Any] = {"amount": to_dlocal(call.amount), "currency": call.amount.asset}
    match request.kind:
        case Kind.AUTHORIZE:
            path, more = PAYMENTS, _payment(call, request)
        case Kind.CAPTURE:
            path = PAYMENTS
            more = {
                "authorization_id": request.authorization_reference,
                "order_id": call.operation,
            }
        case Kind.REFUND:
            path, more = "/refunds", _refund(call, request)
        case _:
            path, more = PAYOUTS, _payout(call, request)
    return path, orjson.dumps(body | more)


def look_up_path(call: Call) -> str:
    """Where it is shown what became of the call; empty where dLocal's id of it is not known.

    A cancel has no object of its own: the payment that it was to cancel tells.
    """
    request = request_of(call)
    if request.kind is Kind.VOID:
        return f"{PAYMENTS}/{quote(request.authorization_reference, safe='')}"
    if not call.reference:
        return ""
    name = quote(call.reference, safe="")
    match request.kind:
        case Kind.AUTHORIZE | Kind.CAPTURE:
            return f"{PAYMENTS}/{name}"
        case Kind.REFUND:
            return f"/refunds/{name}"
    return f"{PAYOUTS}/{name}"


def order_path(call: Call) -> str:
    """Where a payment is found by our own id of it; our ids have slashes."""
    return f"/orders/{quote(call.operation, safe='')}"


def _payment(call: Call, request: Request) -> dict[str, Any]:
    payer = _payer(call)
    facts: dict[str, Any] = {
        "country": request.customer_country,
        "payment_method_id": METHODS[request.method],
        "payment_method_flow": "DIRECT",
        "payer": {"name": payer.name, "email": payer.email, "document": payer.bare_document},
        "order_id": call.operation,
    }
    if request.customer_id:
        facts["payer"]["user_reference"] = request.customer_id
    if request.method == "CARD":
        facts["card"] = {"card_id": request.token, "capture": request.capture}
        if request.installments:
            facts["card"]["installments"] = str(request.installments)
        if request.statement_descriptor:
            facts["card"]["descriptor"] = request.statement_descriptor
    if request.return_url:
        facts["callback_url"] = request.return_url
    return facts


def _refund(call: Call, request: Request) -> dict[str, Any]:
    """Of the capture where there was one: dLocal refunds captures, not authorizations."""
    facts = {
        "payment_id": request.target_reference or request.authorization_reference,
        "order_refund_id": call.operation,
    }
    return facts | (
        {"description": request.reason[:DESCRIPTION_MAX_CHARS]} if request.reason else {}
    )


def _payout(call: Call, request: Request) -> dict[str, Any]:
    payer, country = _payer(call), request.customer_country
    first, _, last = payer.name.strip().partition(" ")
    beneficiary: dict[str, Any] = {
        "first_name": first[:NAME_MAX_CHARS],
        "last_name": (last.strip() or first)[:NAME_MAX_CHARS],
        "document": payer.bare_document,
        "bank_details": {"pix_key" if country in INSTANT else "bank_account": request.token},
    }
    if payer.email:
        beneficiary["email"] = payer.email
    document_type = _document_type(payer.bare_document, country)
    if document_type:
        beneficiary["document_type"] = document_type
    return {
        "external_id": call.operation,
        "country": country,
        "payment_method_id": "INSTANT_PAYMENT" if country in INSTANT else "BANK_TRANSFER",
        "flow_type": "B2C",
        "beneficiary": beneficiary,
    }


def _document_type(document: str, country: str) -> str:
    if country == "BR":
        return {CPF_DIGITS: "CPF", CNPJ_DIGITS: "CNPJ"}.get(len(document), "")
    return ""


def _payer(call: Call) -> Payer:
    if call.payer is None:
        raise PayerLost(call.operation)
    return call.payer
