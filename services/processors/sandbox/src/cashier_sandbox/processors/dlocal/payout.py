"""Payouts v3: money to a PIX key or a bank account, behind an access token of three minutes."""

from __future__ import annotations

import time

from aiohttp import web

from cashier_sandbox.domain.charge import Payout
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.script import Verdict, behaviour_of
from cashier_sandbox.flows.operate import Wish, create_payout
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.dialect import same_secret
from cashier_sandbox.http.fields import TOKEN_MAX_CHARS, Fields, json_body
from cashier_sandbox.processors.dlocal.amounts import exact_body, take_amount, take_currency
from cashier_sandbox.processors.dlocal.errors import rejected
from cashier_sandbox.processors.dlocal.order import ignore, order_of, take_own_id
from cashier_sandbox.processors.dlocal.pay import NAME_MAX_CHARS, check_document
from cashier_sandbox.processors.dlocal.references import References, unknown
from cashier_sandbox.processors.dlocal.signing import (
    ACCESS_TOKEN_LIFE_S,
    HOW_TO,
    Credentials,
    access_token,
)
from cashier_sandbox.processors.dlocal.wire import payout_json, said, twisted

# Brazil is paid by PIX, Mexico by SPEI; what stands for the account is a token of the sandbox.
METHODS = {"INSTANT_PAYMENT", "BANK_TRANSFER"}
DUPLICATE = 5011


async def post_token(known: Credentials, request: web.Request) -> web.Response:
    """`POST /oauth/token`."""
    fields = Fields(await json_body(request))
    fields.choice("grant_type", {"client_credentials"})
    client_id = fields.text("client_id", most=NAME_MAX_CHARS)
    secret = fields.text("client_secret", most=NAME_MAX_CHARS)
    fields.end()
    if not same_secret(client_id, known.client_id) or not same_secret(secret, known.client_secret):
        raise Refused(Code.UNAUTHENTICATED, HOW_TO)
    ends = str(int(time.time()) + ACCESS_TOKEN_LIFE_S)
    return said(
        {
            "access_token": access_token(known, ends),
            "scope": "payouts",
            "expires_in": ACCESS_TOKEN_LIFE_S,
            "token_type": "Bearer",
        }
    )


async def post_payout(references: References, request: web.Request) -> web.Response:
    """`POST /payouts/v3`; an `external_id` pays once."""
    desk, body = references.desk, await exact_body(request)
    fields = Fields(body)
    currency = take_currency(fields, desk.account.currencies)
    if fields.text("currency_to_pay", most=3, default=currency) != currency:
        raise invalid("currency_to_pay", "the sandbox exchanges nothing")
    amount = take_amount(fields, currency)
    reference = take_own_id(fields, "external_id", required=True)
    country = fields.text("country", most=2)
    method = fields.choice("payment_method_id", METHODS)
    ignore(fields, "purpose", "flow_type", "description", "notification_url", "remitter")
    token = _take_beneficiary(fields, country)
    fields.end()
    behaviour = behaviour_of(token, amount)
    if behaviour is None or behaviour.verdict is Verdict.ACTION:
        raise Refused(Code.UNKNOWN_TOKEN, "", "beneficiary.bank_details")
    ask = Ask(operation=Operation.PAYOUT, token=token, currency=currency, amount=amount)
    order = order_of(desk, request, body, ask)
    if references.ordered("po", reference) and order.key not in desk.book.spent:
        raise rejected(DUPLICATE, "External ID already used.", "external_id")
    wish = Wish(reference=reference, metadata={"country": country, "method": method})
    done = await create_payout(desk, order, wish)
    payout = done.spent.resource
    if not isinstance(payout, Payout):
        raise TypeError("a payout made something that is no payout")
    return said(twisted(payout_json(payout), payout.amount, done.spent, named="external_id"))


async def get_payout(references: References, request: web.Request) -> web.Response:
    """`GET /payouts/v3/{id}`."""
    name = references.name(request.match_info["id"]) or ""
    payout = references.desk.book.payouts.get(name)
    if payout is None:
        raise unknown("Payout")
    return said(payout_json(payout))


def _take_beneficiary(fields: Fields, country: str) -> str:
    """Check who is paid and keep nothing of it; return what stands for the account."""
    given = fields.take("beneficiary", None)
    if not isinstance(given, dict):
        raise invalid("beneficiary", "beneficiary must be an object")
    person = Fields(given)
    for name in ("first_name", "last_name"):
        person.text(name, most=NAME_MAX_CHARS)
    document = person.text("document", most=NAME_MAX_CHARS)
    check_document(document, country, "beneficiary.document")
    details = person.take("bank_details", None)
    ignore(person, "document_type", "email", "phone", "address")
    person.end()
    if not isinstance(details, dict):
        raise invalid("beneficiary.bank_details", "bank_details must be an object")
    bank = Fields(details)
    token = bank.text("pix_key" if country == "BR" else "bank_account", most=TOKEN_MAX_CHARS)
    ignore(bank, "bank_code", "branch", "account_type")
    bank.end()
    return token
