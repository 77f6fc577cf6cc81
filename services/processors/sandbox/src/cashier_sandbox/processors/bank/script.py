"""What becomes of an entry by its account number or amount: README §8.5 in code."""

from __future__ import annotations

import re

from cashier_sandbox.domain.bank import BankToken, Plan

# 77 RR w: returned with that code, in place of settling (w = 0) or after it (w = 1).
_RETURNED = re.compile(r"77([0-9]{2})([01])$")
_CHANGED = re.compile(r"88([0-9]{2})0$")
BY_AMOUNT = "55555"
_AMOUNTS = {
    1: Plan(code="R01"),
    3: Plan(code="R03"),
    10: Plan(code="R10", late=True),
    29: Plan(code="R29", late=True),
    91: Plan(code="C01"),
}
UNKNOWN_ACCOUNT = Plan(code="R03")
WRONG_BANK = Plan(code="R13")


def plan_of(text: str, routing: str, amount: int, token: BankToken | None) -> Plan | None:
    """What was planned for this account; `text` stands in the file, `token` is behind it."""
    if text.startswith("bt") and token is None:
        return UNKNOWN_ACCOUNT
    if token is not None and token.routing_number != routing:
        return WRONG_BANK
    number = token.account_number if token else text
    if number.endswith(BY_AMOUNT):
        return _AMOUNTS.get(amount % 100)
    if found := _RETURNED.search(number):
        return Plan(code=f"R{found[1]}", late=found[2] == "1")
    if found := _CHANGED.search(number):
        return Plan(code=f"C{found[1]}")
    return None
