"""Stripe's amounts: its own count of decimals per currency, and its least and greatest ones."""

from __future__ import annotations

from cashier_sandbox.domain.currency import decimals
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.stripe.form import refuse
from cashier_sandbox.processors.stripe.params import Params

# Stripe's documented list; the ledger counts in ISO 4217's decimals, which differ for MGA.
ZERO_DECIMAL = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_TWO, _THREE = 2, 3
# Stripe's documented least charge per settlement currency, in Stripe's units.
CHARGE_MIN: dict[str, int] = {
    **dict.fromkeys(("USD", "AUD", "BRL", "CAD", "CHF", "EUR", "INR", "NZD", "SGD"), 50),
    "AED": 200,
    "BGN": 100,
    "CZK": 1_500,
    "DKK": 250,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17_500,
    "JPY": 50,
    "MXN": 1_000,
    "MYR": 200,
    "NOK": 300,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "THB": 1_000,
}
# "The amount value supports up to eight digits."
CHARGE_MAX = 99_999_999


def to_ledger(amount: int, currency: str) -> int:
    """Return Stripe's amount in the ledger's minor units; both are exact."""
    theirs, ours = _decimals(currency), decimals(currency)
    if theirs <= ours:
        return int(amount * 10 ** (ours - theirs))
    whole, rest = divmod(amount, 10 ** (theirs - ours))
    if rest:
        raise refuse(
            "amount",
            f"Invalid amount: {currency.lower()} amounts must be divisible by "
            f"{10 ** (theirs - ours)}.",
            "parameter_invalid_integer",
        )
    return int(whole)


def to_stripe(minor: int, currency: str) -> int:
    """Return the ledger's minor units as Stripe's amount; a fraction of its unit is cut off."""
    theirs, ours = _decimals(currency), decimals(currency)
    if theirs >= ours:
        return int(minor * 10 ** (theirs - ours))
    sign = -1 if minor < 0 else 1
    return int(sign * (abs(minor) // 10 ** (ours - theirs)))


def currency_of(desk: Desk, params: Params) -> str:
    """Return the ledger's code of the currency that is asked for."""
    given = params.text("currency").upper()
    if given not in desk.account.currencies:
        known = ", ".join(sorted(desk.account.currencies)).lower()
        raise refuse(
            "currency", f"Invalid currency: this account takes {known}", "invalid_currency"
        )
    return given


def amount_of(params: Params, currency: str, name: str = "amount") -> int:
    """Return an amount of at least 1 in the ledger's minor units."""
    amount = params.integer(name)
    if amount < 1:
        raise refuse(name, f"Invalid positive integer: {name}", "parameter_invalid_integer")
    if amount > CHARGE_MAX:
        raise refuse(name, f"Amount must be no more than {CHARGE_MAX}.", "amount_too_large")
    if currency in THREE_DECIMAL and amount % 10:
        raise refuse(
            name,
            f"Invalid amount: the last digit must be 0 in {currency.lower()}.",
            "parameter_invalid_integer",
        )
    return to_ledger(amount, currency)


def charge_amount_of(params: Params, currency: str) -> int:
    """Return the amount of a charge, not below Stripe's least one."""
    amount = amount_of(params, currency)
    least = CHARGE_MIN.get(currency, 1)
    if to_stripe(amount, currency) < least:
        raise refuse(
            "amount", f"Amount must be at least {least} {currency.lower()}.", "amount_too_small"
        )
    return amount


def _decimals(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return _THREE if currency in THREE_DECIMAL else _TWO
