"""Adyen's amounts: ISO 4217's decimals, but for the four currencies that Adyen counts otherwise."""

from typing import Final

from cashier_common.assets import AssetKind, asset, is_known
from cashier_common.money import Money

# From Adyen's list of currency codes: "the decimals in the table on this page are leading".
EXPONENTS: Final = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}


class AmountNotExpressible(ValueError):
    """Adyen has no amount for this money, or we none for Adyen's: nothing may be rounded."""


def to_adyen(money: Money) -> dict[str, int | str]:
    """Adyen's `Amount` for the same money, never rounded: AmountNotExpressible."""
    ours, theirs = _exponents(money.asset)
    what = f"{money.minor} minor units of {money.asset}"
    return {"value": _scaled(money.minor, theirs - ours, what), "currency": money.asset}


def from_adyen(value: int, currency: str) -> Money:
    """The money that Adyen's value and currency mean."""
    ours, theirs = _exponents(currency)
    return Money(_scaled(value, ours - theirs, f"{value} of Adyen's {currency[:3]}"), currency)


def _exponents(code: str) -> tuple[int, int]:
    if not is_known(code) or asset(code).kind is not AssetKind.FIAT:
        raise AmountNotExpressible(f"Adyen takes no {code[:8]}")
    ours = asset(code).exponent
    return ours, EXPONENTS.get(code, ours)


def _scaled(amount: int, places: int, what: str) -> int:
    if places >= 0:
        return amount * int(10**places)
    whole, rest = divmod(amount, int(10**-places))
    if rest:
        raise AmountNotExpressible(f"{what} cannot be said in the other count of decimals")
    return whole
