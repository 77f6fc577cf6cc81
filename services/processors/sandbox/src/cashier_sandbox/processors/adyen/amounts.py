"""Adyen's minor units: they differ from ISO 4217 for four currencies."""

from __future__ import annotations

from cashier_sandbox.http.fields import AMOUNT_MAX_MINOR, Fields
from cashier_sandbox.processors.adyen.errors import rejected, required

# Adyen's page "Currency codes and minor units" marks four currencies as different from the
# standard: CLP and ISK have two decimals there and none in ISO 4217, CVE and IDR the reverse.
_FINER: dict[str, int] = {"CLP": 100, "ISK": 100}
_COARSER: dict[str, int] = {"CVE": 100, "IDR": 100}


def to_adyen(minor: int, currency: str) -> int:
    """Return the ledger's minor units in Adyen's; what is less than one of them is dropped."""
    return minor * _FINER.get(currency, 1) // _COARSER.get(currency, 1)


def amount_json(minor: int, currency: str) -> dict[str, object]:
    """Return an Amount."""
    return {"currency": currency, "value": to_adyen(minor, currency)}


def take_amount(fields: Fields, currencies: frozenset[str]) -> tuple[int, str]:
    """Return the ledger's minor units and the currency of the field `amount`."""
    value = fields.take("amount", None)
    if not isinstance(value, dict):
        raise required("100", "amount")
    inner = Fields(value)
    currency = inner.take("currency", None)
    if not isinstance(currency, str) or currency not in currencies:
        raise rejected("138", "Unsupported currency specified", "currency")
    minor = _to_ledger(inner.take("value", None), currency)
    inner.end()
    return minor, currency


def _to_ledger(value: object, currency: str) -> int:
    finer = _FINER.get(currency, 1)
    if type(value) is int and value > 0 and value % finer == 0:
        minor = value * _COARSER.get(currency, 1) // finer
        if minor <= AMOUNT_MAX_MINOR:
            return minor
    raise rejected("137", "Invalid amount specified", "value")
