"""Read an authentication request (AReq) as strictly as EMV's tables have it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from cashier_sandbox.domain.card_script import card_script_of
from cashier_sandbox.domain.currency import decimals
from cashier_sandbox.domain.script import behaviour_of
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.fields import TOKEN_MAX_CHARS, Fields
from cashier_sandbox.http.page import web_address
from cashier_sandbox.processors.acs.currencies import ALPHABETIC

ID_CHARS = 36
HEADER_MAX_CHARS = 2_048
LANGUAGE_MAX_CHARS = 8
NAME_MAX_CHARS = 40
WEB, PAYMENT, YES, NO = "02", "01", "Y", "N"
_COLOR_DEPTHS = ("1", "4", "8", "15", "16", "24", "32", "48")
_WINDOW_SIZES = ("01", "02", "03", "04", "05")
_DECOUPLED_MAX_MINUTES = 10_080
# What is taken for its form and changes nothing here: element → longest value.
_IGNORED: dict[str, int] = {
    "threeDSRequestorID": 35,
    "threeDSRequestorName": 40,
    "threeDSRequestorAuthenticationInd": 2,
    "threeDSRequestorTransID": 36,
    "acquirerBIN": 11,
    "acquirerMerchantID": 35,
    "merchantCountryCode": 3,
    "mcc": 4,
    "purchaseDate": 14,
    "cardExpiryDate": 4,
    "transType": 2,
    "email": 254,
    "billAddrCountry": 3,
}


def read_card(fields: Fields) -> str:
    """Return `acctNumber`: a token of the tables, as nothing else can be a card here."""
    token = fields.text("acctNumber", most=TOKEN_MAX_CHARS)
    if card_script_of(token) is None and behaviour_of(token, 0) is None:
        raise Refused(
            Code.UNKNOWN_TOKEN, "acctNumber is not in the sandbox's table of cards", "acctNumber"
        )
    return token


def read_request(
    body: Mapping[str, Any], currencies: frozenset[str]
) -> tuple[str, str, dict[str, str]]:
    """Return threeDSServerTransID, card and what of the request is kept; refused when malformed."""
    fields = Fields(body)
    name, card = fields.text("threeDSServerTransID", most=ID_CHARS), read_card(fields)
    fields.choice("deviceChannel", {WEB})
    fields.choice("messageVersion", {"2.1.0", "2.2.0"}, default="2.2.0")
    kept = {
        "messageCategory": fields.choice("messageCategory", {PAYMENT, "02"}, default=PAYMENT),
        "threeDSCompInd": fields.choice("threeDSCompInd", {YES, NO, "U"}),
        "threeDSRequestorChallengeInd": fields.choice(
            "threeDSRequestorChallengeInd", {f"0{digit}" for digit in range(1, 10)}, default="01"
        ),
        "notificationURL": web_address("notificationURL", fields.take("notificationURL")),
        "merchantName": fields.text("merchantName", most=NAME_MAX_CHARS),
        "challengeWindowSize": fields.choice("challengeWindowSize", _WINDOW_SIZES, default="05"),
    }
    kept |= _purchase(fields, currencies) | _decoupled(fields)
    _check_browser(fields)
    for element, most in _IGNORED.items():
        fields.text(element, most=most, default="")
    fields.end()
    return name, card, kept


def _purchase(fields: Fields, currencies: frozenset[str]) -> dict[str, str]:
    amount = _matching(fields, "purchaseAmount", "0|[1-9][0-9]{0,14}", "minor units as digits")
    numeric = _matching(fields, "purchaseCurrency", "[0-9]{3}", "a numeric ISO 4217 code")
    if ALPHABETIC.get(numeric) not in currencies:
        raise invalid("purchaseCurrency", f"purchaseCurrency {numeric} is none of this account's")
    exponent = str(decimals(ALPHABETIC[numeric]))
    fields.choice("purchaseExponent", {exponent})
    return {
        "purchaseAmount": amount,
        "purchaseCurrency": numeric,
        "purchaseExponent": exponent,
    }


def _decoupled(fields: Fields) -> dict[str, str]:
    wanted = fields.choice("threeDSRequestorDecReqInd", {YES, NO}, default=NO)
    if wanted == NO:
        fields.text("threeDSRequestorDecMaxTime", most=5, default="")
        return {"threeDSRequestorDecReqInd": NO}
    name = "threeDSRequestorDecMaxTime"
    most = _matching(fields, name, "[0-9]{5}", "minutes as five digits")
    if not 1 <= int(most) <= _DECOUPLED_MAX_MINUTES:
        raise invalid(name, f"{name} must be from 00001 to {_DECOUPLED_MAX_MINUTES}")
    return {"threeDSRequestorDecReqInd": YES, name: most}


def _check_browser(fields: Fields) -> None:
    """The browser data elements, required for this channel; the issuer here looks at none."""
    fields.text("browserAcceptHeader", most=HEADER_MAX_CHARS)
    fields.text("browserUserAgent", most=HEADER_MAX_CHARS)
    fields.text("browserLanguage", most=LANGUAGE_MAX_CHARS)
    address = fields.text("browserIP", most=45, default="::1")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise invalid("browserIP", "browserIP must be an IPv4 or IPv6 address") from None
    if not fields.flag("browserJavascriptEnabled", default=True):
        for element in (
            "browserColorDepth",
            "browserScreenHeight",
            "browserScreenWidth",
            "browserTZ",
        ):
            fields.text(element, most=6, default="")
        fields.flag("browserJavaEnabled", default=False)
        return
    _required_flag(fields, "browserJavaEnabled")
    fields.choice("browserColorDepth", _COLOR_DEPTHS)
    for element in ("browserScreenHeight", "browserScreenWidth"):
        _matching(fields, element, "[0-9]{1,6}", "pixels as digits")
    _matching(fields, "browserTZ", "[+-]?[0-9]{1,4}", "minutes, positive west of UTC, as digits")


def _required_flag(fields: Fields, name: str) -> None:
    if not fields.has(name):
        raise invalid(name, f"{name} is required")
    fields.flag(name, default=False)


def _matching(fields: Fields, name: str, pattern: str, expected: str) -> str:
    value = fields.take(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise invalid(name, f"{name} must be {expected}")
    return value
