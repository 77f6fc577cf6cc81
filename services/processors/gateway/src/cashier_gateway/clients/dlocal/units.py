"""dLocal's amounts: decimal numbers of the major unit with at most two places, both ways exact."""

import json
from decimal import Decimal
from typing import Final, NoReturn

import orjson

from cashier_common.assets import AssetKind, asset, is_known
from cashier_common.money import Money

# dLocal gives an amount 16 digits, of which 2 are decimals.
PLACES_MAX: Final = 2
DIGITS_MAX: Final = 16


class AmountNotExpressible(ValueError):
    """dLocal has no number for this money, or we none for dLocal's: nothing may be rounded."""


def to_dlocal(money: Money) -> orjson.Fragment:
    """The JSON number of the same money: AmountNotExpressible where it has too many decimals."""
    places = _exponent(money.asset)
    major = Decimal(money.minor).scaleb(-places)
    if major != major.quantize(Decimal(1).scaleb(-PLACES_MAX)):
        raise AmountNotExpressible(
            f"{money.minor} minor units of {money.asset} have more than {PLACES_MAX} decimals"
        )
    if len(str(money.minor)) > DIGITS_MAX:
        raise AmountNotExpressible(f"{money.minor} minor units are more than dLocal can say")
    return orjson.Fragment(f"{major:.{min(places, PLACES_MAX)}f}".encode())


def from_dlocal(number: object, currency: str) -> Money:
    """The money that dLocal's number and currency mean; `number` was read by `exact`."""
    if type(number) is int:
        number = Decimal(number)
    if not isinstance(number, Decimal) or not number.is_finite():
        raise AmountNotExpressible("the amount is no number")
    if number.adjusted() >= DIGITS_MAX:  # before it is written out: 1e999999 is short only so
        raise AmountNotExpressible("the amount has more digits than dLocal's have")
    minor = number.scaleb(_exponent(currency))
    if minor != minor.to_integral_value():
        raise AmountNotExpressible(f"{number} {currency} is no whole count of minor units")
    return Money(int(minor), currency)


def exact(raw: bytes) -> object:
    """JSON with every decimal number as it was written; ValueError for what is no JSON.

    The parser that keeps decimals recurses on the C stack, where a hundred thousand brackets end
    the process: the one that has a limit of its own (1,024) looks first.
    """
    orjson.loads(raw)
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _exponent(code: str) -> int:
    if not is_known(code) or asset(code).kind is not AssetKind.FIAT:
        raise AmountNotExpressible(f"dLocal takes no {code[:8]}")
    return asset(code).exponent
