"""The asset registry: which codes exist and how many decimals a minor unit has."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache

import iso4217

from cashier_common.money import Money


class AssetKind(StrEnum):
    """What sort of thing an asset is."""

    FIAT = "fiat"
    STABLECOIN = "stablecoin"
    COIN = "coin"


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset: `10 ** exponent` minor units are one major unit."""

    code: str
    exponent: int
    kind: AssetKind


# Crypto assets are ours to define. Tokens have the decimals of their contracts on Ethereum; ETH is
# booked in gwei because int64 wei overflows at 9.2 ETH (style.md, section 1).
_CRYPTO = {
    asset.code: asset
    for asset in (
        Asset("USDC", 6, AssetKind.STABLECOIN),
        Asset("USDT", 6, AssetKind.STABLECOIN),
        Asset("EURC", 6, AssetKind.STABLECOIN),
        Asset("ETH", 9, AssetKind.COIN),
        Asset("BTC", 8, AssetKind.COIN),
    )
}
# ISO 4217 entries that are not money of account: funds, metals, test and "no currency" codes.
_NOT_MONEY = frozenset(
    ["XAG", "XAU", "XPD", "XPT", "XBA", "XBB", "XBC", "XBD", "XDR", "XSU", "XTS", "XUA", "XXX",
     "BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW"]
)  # fmt: skip


class UnknownAssetError(ValueError):
    """No asset has this code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the asset registry has no {code!r}")


class AmountUnreadableError(ValueError):
    """A decimal text is not an exact count of minor units."""

    def __init__(self, text: str, code: str, exponent: int) -> None:
        super().__init__(f"{text!r} is not an amount of {code} with at most {exponent} decimals")


@lru_cache(maxsize=512)
def asset(code: str) -> Asset:
    """The asset with this code, or UnknownAssetError. Exponents of fiat are ISO 4217's."""
    if code in _CRYPTO:
        return _CRYPTO[code]
    if code in _NOT_MONEY:
        raise UnknownAssetError(code)
    try:
        exponent = iso4217.Currency(code).exponent
    except ValueError:
        raise UnknownAssetError(code) from None
    if exponent is None:
        raise UnknownAssetError(code)
    return Asset(code, exponent, AssetKind.FIAT)


def is_known(code: str) -> bool:
    """Whether the registry has this code."""
    try:
        asset(code)
    except UnknownAssetError:
        return False
    return True


def to_decimal(money: Money) -> str:
    """The amount in major units as text, with exactly the asset's decimals: `-19.99`."""
    exponent = asset(money.asset).exponent
    return f"{Decimal(money.minor).scaleb(-exponent):.{exponent}f}"


def from_decimal(text: str, code: str) -> Money:
    """The amount that a major-unit text means; refuses what is no exact count of minor units."""
    exponent = asset(code).exponent
    try:
        minor = Decimal(text).scaleb(exponent)
        if minor != minor.to_integral_value(ROUND_DOWN):
            raise AmountUnreadableError(text, code, exponent)
    except InvalidOperation:
        raise AmountUnreadableError(text, code, exponent) from None
    return Money(int(minor), code)
