"""dLocal's amounts: decimal numbers of the major unit with at most two places, never a float."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

import orjson
from aiohttp import web

from cashier_sandbox.domain.currency import decimals, in_major
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.http.fields import AMOUNT_MAX_MINOR, Fields
from cashier_sandbox.processors.dlocal.errors import rejected

# dLocal gives an amount 16 digits, of which 2 are decimals.
PLACES_MAX = 2


async def exact_body(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request with every decimal number as it was written."""
    raw = await request.read()
    if not raw:
        return {}
    try:
        orjson.loads(raw)  # its limit of depth first: the other one recurses on the C stack
        body = json.loads(raw, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise invalid("body", "the body is not valid JSON in UTF-8") from error
    if not isinstance(body, dict):
        raise invalid("body", "the body must be a JSON object")
    return body


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def take_amount(fields: Fields, currency: str) -> int:
    """Return the ledger's minor units of the field `amount`."""
    value = fields.take("amount", None)
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal):
        raise invalid("amount", "amount must be a number")
    minor = value.scaleb(decimals(currency))
    places = -int(value.normalize().as_tuple().exponent)
    if places > PLACES_MAX or minor != minor.to_integral_value():
        raise invalid("amount", f"amount must be a number of at most {PLACES_MAX} decimals")
    if minor <= 0:
        raise rejected(5016, "Amount too low.", "amount")
    if minor > AMOUNT_MAX_MINOR:
        raise rejected(5007, "Amount exceeded.", "amount")
    return int(minor)


def take_currency(fields: Fields, currencies: frozenset[str]) -> str:
    """Return the field `currency`, one of the account's."""
    value = fields.take("currency", None)
    if not isinstance(value, str) or value not in currencies:
        raise rejected(5004, "Currency not allowed for this country.", "currency")
    return value


def number(minor: int, currency: str) -> orjson.Fragment:
    """Return an amount as a JSON number with its decimals."""
    return orjson.Fragment(in_major(minor, currency).encode())
