"""`POST /payments`: cards, PIX, vouchers, and captures of what was authorized."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aiohttp import web

from cashier_sandbox.domain.charge import Charge
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.declines import EXPIRED
from cashier_sandbox.domain.entry import Draft
from cashier_sandbox.domain.script import Behaviour, Verdict, behaviour_of
from cashier_sandbox.flows.operate import Wish, charge_draft
from cashier_sandbox.flows.perform import Order, perform
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.flows.resolve import schedule_due
from cashier_sandbox.http.fields import TOKEN_MAX_CHARS, Fields, checked_text
from cashier_sandbox.processors.dlocal.amounts import exact_body, take_amount, take_currency
from cashier_sandbox.processors.dlocal.errors import rejected
from cashier_sandbox.processors.dlocal.modify import capture
from cashier_sandbox.processors.dlocal.order import URL_MAX_CHARS, ignore, order_of, take_own_id
from cashier_sandbox.processors.dlocal.references import References
from cashier_sandbox.processors.dlocal.ticket import OXXO, PIX, moment
from cashier_sandbox.processors.dlocal.wire import CARD, TICKETS, payment_json, said, twisted

# How long a code or voucher can be paid; dLocal says the moment with each and fixes none for all.
LIFE_S = {PIX: 1_800, OXXO: 3 * 86_400}
PLACES = {PIX: ("BR", "BRL"), OXXO: ("MX", "MXN")}
INSTALLMENTS_MAX = 24
NAME_MAX_CHARS = 100
DESCRIPTION_MAX_CHARS = 255
_COUNTRY = re.compile("[A-Z]{2}")
_DOCUMENTS = {
    "BR": re.compile("[0-9]{11}|[0-9]{14}"),
    "MX": re.compile("[A-Z&Ñ]{3,4}[0-9]{6}[A-Z0-9]{3}|[A-Z]{4}[0-9]{6}[A-Z0-9]{8}"),
}
_DOCUMENT = re.compile("[0-9A-Za-z.-]{5,20}")
_CLEAR_CARD = ("number", "cvv", "encrypted_data", "expiration_month", "expiration_year")


async def post_payment(references: References, request: web.Request) -> web.Response:
    """The first answer of its key, whatever became of the payment since."""
    body = await exact_body(request)
    if "authorization_id" in body:
        return await capture(references, request, body)
    desk = references.desk
    fields = Fields(body)
    currency = take_currency(fields, desk.account.currencies)
    amount = take_amount(fields, currency)
    method = fields.choice("payment_method_id", {CARD, *TICKETS})
    country = _take_country(fields)
    if method in TICKETS and (country, currency) != PLACES[method]:
        raise rejected(5010, "Method not available.", "payment_method_id")
    flow = fields.choice(
        "payment_method_flow", {"DIRECT", "REDIRECT"} if method in TICKETS else {"DIRECT"}
    )
    _take_payer(fields, country)
    told = {"method": method, "country": country, "flow": flow}
    token, captures = "", True
    if method == CARD:
        token, captures, told["installments"] = _take_card(fields, amount)
    reference = take_own_id(fields, "order_id", required=True)
    fields.text("description", most=DESCRIPTION_MAX_CHARS, default="")
    fields.text("notification_url", most=URL_MAX_CHARS, default="")
    fields.text("callback_url", most=URL_MAX_CHARS, default="")
    fields.end()
    ask = Ask(operation=Operation.CHARGE, token=token, currency=currency, amount=amount)
    order = order_of(desk, request, body, ask)
    wish = Wish(reference=reference, metadata=told, capture=captures)

    def effect(behaviour: Behaviour) -> Draft:
        if references.ordered("payment", reference):
            raise rejected(5009, "Order ID is duplicated.", "order_id")
        if method not in TICKETS:
            return charge_draft(desk, order, wish, behaviour, intent=None)
        return _ticket_draft(references, order, wish, behaviour)

    done = await perform(desk, order, effect)
    charge = done.spent.resource
    if not isinstance(charge, Charge):
        raise TypeError("a payment made something that is no charge")
    if method in TICKETS and not done.replayed and charge.id in desk.book.due:
        schedule_due(desk, charge.id)
    answer = payment_json(desk, charge)
    return said(twisted(answer, charge.amount, done.spent, named="order_id"))


def _ticket_draft(references: References, order: Order, wish: Wish, behaviour: Behaviour) -> Draft:
    """A code or voucher that waits for its payer until it expires, or as the script says."""
    life_s = LIFE_S[wish.metadata["method"]]
    expires = datetime.now(UTC) + timedelta(seconds=life_s)
    told = {**wish.metadata, "expiration_date": moment(expires)}
    wish = replace(wish, metadata=told)
    if behaviour.verdict is not Verdict.DECLINE:
        scripted = behaviour.resolves_ms is not None
        pays = scripted and behaviour.resolves_decline is None
        behaviour = replace(
            behaviour,
            verdict=Verdict.ACTION,
            resolves_ms=behaviour.resolves_ms if scripted else life_s * 1000,
            resolves_decline=None if pays else EXPIRED,
        )
    return charge_draft(references.desk, order, wish, behaviour, intent=None)


def _take_card(fields: Fields, amount: int) -> tuple[str, bool, str]:
    """Take `card`: the token, whether it captures, and in how many installments."""
    given = fields.take("card", None)
    if not isinstance(given, dict):
        raise invalid("card", "card must be an object")
    card = Fields(given)
    for name in _CLEAR_CARD:
        if card.take(name, None) is not None:
            raise invalid(f"card.{name}", "send a token, never a card")
    tokens = [value for name in ("token", "card_id") if (value := card.take(name, None))]
    if len(tokens) != 1:
        raise invalid("card.token", "card must have a token or a card_id")
    token = checked_text("card.token", tokens[0], most=TOKEN_MAX_CHARS)
    captures = card.flag("capture", default=True)
    installments = str(card.take("installments", "1"))
    if not installments.isascii() or not installments.isdigit():
        raise invalid("card.installments", "installments must be a number")
    if not 1 <= int(installments) <= INSTALLMENTS_MAX:
        raise invalid("card.installments", f"installments must be 1 to {INSTALLMENTS_MAX}")
    ignore(card, "descriptor", "holder_name", "save", "cvv_token", "installments_id")
    card.end()
    if behaviour_of(token, amount) is None:
        raise Refused(Code.UNKNOWN_TOKEN, "", "card.token")
    return token, captures, str(int(installments))


def _take_country(fields: Fields) -> str:
    country = fields.take("country", None)
    if not isinstance(country, str) or not _COUNTRY.fullmatch(country):
        raise rejected(5003, "Country not supported.", "country")
    return country


def _take_payer(fields: Fields, country: str) -> None:
    """Check who pays, and keep nothing of it: the ledger has no room for people."""
    given = fields.take("payer", None)
    if not isinstance(given, dict):
        raise invalid("payer", "payer must be an object")
    payer = Fields(given)
    payer.text("name", most=NAME_MAX_CHARS)
    payer.text("email", most=NAME_MAX_CHARS)
    check_document(payer.text("document", most=NAME_MAX_CHARS), country, "payer.document")
    ignore(
        payer, "phone", "birth_date", "document2", "user_reference", "address", "ip", "device_id"
    )
    payer.end()


def check_document(document: str, country: str, name: str) -> None:
    """Refuse a document that is none of the country's."""
    if not _DOCUMENTS.get(country, _DOCUMENT).fullmatch(document):
        raise invalid(name, f"{name} is no document of {country}")
