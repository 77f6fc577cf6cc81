"""Stripe's amounts: its own count of decimals per currency, which is not always ISO 4217's."""

from typing import Final

from cashier_common.assets import AssetKind, asset, is_known
from cashier_common.money import Money

# From Stripe's list of currencies: amounts of these are whole units.
ZERO_DECIMAL: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
# ISO 4217 gives them no decimals, and Stripe still wants two: "amounts must be divisible by 100".
TWO_DECIMAL_BY_TRADITION: Final = frozenset({"ISK", "UGX"})
# Three decimals, of which the last must be 0.
THREE_DECIMAL: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# Exponents differ by three at the most.
_TENS: Final = (1, 10, 100, 1_000)


class AmountNotExpressible(ValueError):
    """Stripe has no amount for this money, or we none for Stripe's: nothing may be rounded."""


def to_stripe(money: Money) -> tuple[int, str]:
    """Stripe's amount and currency for the same money, never rounded: AmountNotExpressible."""
    ours, theirs = _exponents(money.asset)
    amount = _scaled(money.minor, theirs - ours, f"{money.minor} minor units of {money.asset}")
    if money.asset in THREE_DECIMAL and amount % 10:
        raise AmountNotExpressible(
            f"{money.minor} minor units of {money.asset}: Stripe wants the third decimal to be 0"
        )
    return amount, money.asset.lower()


def from_stripe(amount: int, currency: str) -> Money:
    """The money that Stripe's amount and currency mean."""
    code = currency.upper()
    ours, theirs = _exponents(code)
    return Money(_scaled(amount, ours - theirs, f"{amount} of Stripe's {currency}"), code)


def _exponents(code: str) -> tuple[int, int]:
    if not is_known(code) or asset(code).kind is not AssetKind.FIAT:
        raise AmountNotExpressible(f"Stripe takes no {code}")
    ours = asset(code).exponent
    if code in ZERO_DECIMAL:
        return ours, 0
    if code in THREE_DECIMAL:
        return ours, 3
    if code in TWO_DECIMAL_BY_TRADITION or ours == 2:  # noqa: PLR2004 - two decimals
        return ours, 2
    raise AmountNotExpressible(f"it is not known how many decimals Stripe gives {code}")


def _scaled(amount: int, places: int, what: str) -> int:
    if places >= 0:
        return amount * _TENS[places]
    whole, rest = divmod(amount, _TENS[-places])
    if rest:
        raise AmountNotExpressible(f"{what} cannot be said in the other count of decimals")
    return whole
