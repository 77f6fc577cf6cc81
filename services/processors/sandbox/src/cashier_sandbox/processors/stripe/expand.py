"""`expand[]`: an id in an answer becomes the object that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.stripe.dispute_objects import dispute_json
from cashier_sandbox.processors.stripe.form import refuse
from cashier_sandbox.processors.stripe.intent_objects import charge_json, intent_json
from cashier_sandbox.processors.stripe.money_objects import (
    balance_lines,
    payout_json,
    refund_json,
    transaction_json,
)

EXPAND_DEPTH_MAX = 4
EXPANDABLE = frozenset(
    {"balance_transaction", "charge", "latest_charge", "payment_intent", "source", "data"}
)


def expanded(desk: Desk, body: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """Return the answer with each path (`latest_charge.balance_transaction`) expanded."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > EXPAND_DEPTH_MAX or not set(steps) <= EXPANDABLE:
            raise refuse("expand", "This property cannot be expanded.", "parameter_invalid")
        _expand(desk, body, steps)
    return body


def object_of(desk: Desk, name: str) -> dict[str, Any] | None:
    """Return any object of the account by its id."""
    finder = _FINDERS.get(name.partition("_")[0])
    return finder(desk, name) if finder else None


def _expand(desk: Desk, body: dict[str, Any], steps: list[str]) -> None:
    name, rest = steps[0], steps[1:]
    value = body.get(name)
    if isinstance(value, str):
        value = body[name] = object_of(desk, value) or value
    for item in value if isinstance(value, list) else [value]:
        if rest and isinstance(item, dict):
            _expand(desk, item, rest)


def _intent(desk: Desk, name: str) -> dict[str, Any] | None:
    intent = desk.book.intents.get(name)
    return intent_json(desk, intent, desk.book.charges.get(intent.charge)) if intent else None


def _charge(desk: Desk, name: str) -> dict[str, Any] | None:
    charge = desk.book.charges.get(name)
    return charge_json(desk, charge, desk.book.intents.get(charge.intent)) if charge else None


def _refund(desk: Desk, name: str) -> dict[str, Any] | None:
    refund = desk.book.refunds.get(name)
    if refund is None:
        return None
    return refund_json(desk, refund, desk.book.charges[refund.charge].intent)


def _payout(desk: Desk, name: str) -> dict[str, Any] | None:
    payout = desk.book.payouts.get(name)
    return payout_json(desk, payout) if payout else None


def _dispute(desk: Desk, name: str) -> dict[str, Any] | None:
    dispute = desk.book.chargebacks.get(name)
    return dispute_json(desk, dispute) if dispute else None


def _transaction(desk: Desk, name: str) -> dict[str, Any] | None:
    found = (line for line in balance_lines(desk) if line.movement.id == name)
    line = next(found, None)
    return transaction_json(line) if line else None


_FINDERS: dict[str, Callable[[Desk, str], dict[str, Any] | None]] = {
    "pi": _intent,
    "ch": _charge,
    "re": _refund,
    "po": _payout,
    "dp": _dispute,
    "txn": _transaction,
}
