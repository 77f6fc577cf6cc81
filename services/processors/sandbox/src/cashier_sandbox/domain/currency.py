"""How many decimals a currency has by ISO 4217, which is what the ledger counts in."""

from __future__ import annotations

DEFAULT_DECIMALS = 2
_DECIMALS: dict[str, int] = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(),  # noqa: SIM905  sixteen quoted codes are harder to read
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def decimals(currency: str) -> int:
    """Return the number of decimals of one unit of a currency."""
    return _DECIMALS.get(currency, DEFAULT_DECIMALS)


def in_major(minor: int, currency: str, *, places: int | None = None) -> str:
    """Return minor units as a decimal number with a point, exact; `places` can only be more."""
    own = decimals(currency)
    shown = own if places is None else max(own, places)
    digits = f"{abs(minor)}{'0' * (shown - own)}".rjust(shown + 1, "0")
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-shown]}.{digits[-shown:]}" if shown else sign + digits
