"""Refunds, payouts, the balance and its transactions as Stripe shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cashier_sandbox.domain.charge import Payout, Refund, Status
from cashier_sandbox.domain.entry import Entry
from cashier_sandbox.domain.movement import Movement
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.stripe.amounts import to_stripe
from cashier_sandbox.processors.stripe.intent_objects import unix
from cashier_sandbox.settlement.formats import STRIPE_AVAILABLE_DAYS

_AVAILABLE_S = int(timedelta(days=STRIPE_AVAILABLE_DAYS).total_seconds())
_STATUS: dict[Status, str] = {
    Status.SUCCEEDED: "succeeded",
    Status.PENDING: "pending",
    Status.DECLINED: "failed",
}
_PAID: dict[Status, str] = {
    Status.SUCCEEDED: "paid",
    Status.PENDING: "pending",
    Status.DECLINED: "failed",
}
_REFUND_FAILURES: dict[str, str] = {
    "insufficient_funds": "insufficient_funds",
    "expired_card": "expired_or_canceled_card",
    "lost_card": "lost_or_stolen_card",
    "stolen_card": "lost_or_stolen_card",
}
_PAYOUT_FAILURES: dict[str, str] = {
    "insufficient_funds": "insufficient_funds",
    "invalid_account": "no_account",
    "currency_not_supported": "invalid_currency",
    "card_not_supported": "unsupported_card",
    "restricted_card": "account_frozen",
}


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """One balance transaction: a movement, and the automatic payout that it went out with."""

    movement: Movement
    payout: str


def refund_json(desk: Desk, refund: Refund, intent: str) -> dict[str, Any]:
    """Return a Refund; `intent` is the id of its charge's intent."""
    moved = desk.book.moved_by.get(refund.id, ())
    body: dict[str, Any] = {
        "id": refund.id,
        "object": "refund",
        "amount": to_stripe(refund.amount, refund.currency),
        "balance_transaction": moved[0].id if moved else None,
        "charge": refund.charge,
        "created": unix(refund.created_at),
        "currency": refund.currency.lower(),
        "metadata": dict(refund.metadata),
        "payment_intent": intent or None,
        "reason": refund.reason or None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": _STATUS[refund.status],
        "transfer_reversal": None,
    }
    if refund.decline:
        body["failure_reason"] = _REFUND_FAILURES.get(refund.decline, "declined")
        body["failure_balance_transaction"] = moved[1].id if len(moved) > 1 else None
    return body


def payout_json(desk: Desk, payout: Payout) -> dict[str, Any]:
    """Return a Payout to a customer."""
    moved = desk.book.moved_by.get(payout.id, ())
    return _payout(
        payout.id,
        amount=to_stripe(payout.amount, payout.currency),
        currency=payout.currency,
        created=unix(payout.created_at),
        status=_PAID[payout.status],
        transaction=moved[0].id if moved else None,
    ) | {
        "destination": payout.destination,
        "failure_balance_transaction": moved[1].id if len(moved) > 1 else None,
        "failure_code": _failure(payout.decline),
        "failure_message": "The payout was refused." if payout.decline else None,
        "metadata": dict(payout.metadata),
        "method": "instant",
        "type": "card",
    }


def batch_payout_json(line: BalanceLine) -> dict[str, Any]:
    """Return the automatic Payout of a settlement in one currency."""
    movement = line.movement
    return _payout(
        movement.source,
        amount=-to_stripe(movement.amount, movement.currency),
        currency=movement.currency,
        created=unix(movement.at),
        status="paid",
        transaction=movement.id,
    ) | {"automatic": True, "reconciliation_status": "completed", "type": "bank_account"}


def balance_lines(desk: Desk) -> Iterator[BalanceLine]:
    """Yield every balance transaction, newest first; a settlement's payouts come last in it."""
    book = desk.book
    end = len(book.movements)
    for entry in reversed(book.settlements):
        to = entry.detail["movements_to"]
        yield from (BalanceLine(one, "") for one in reversed(book.movements[to:end]))
        yield from reversed(batch_lines(desk, entry))
        end = to
        start = _start(desk, entry)
        payouts = entry.detail["payouts"]
        for one in reversed(book.movements[start:end]):
            yield BalanceLine(one, payouts[one.currency])
        end = start
    yield from (BalanceLine(one, "") for one in reversed(book.movements[:end]))


def batch_lines(desk: Desk, entry: Entry) -> list[BalanceLine]:
    """Return the payouts of a settlement as the ledger has them, whatever its file says."""
    movements = desk.book.movements[_start(desk, entry) : entry.detail["movements_to"]]
    lines = []
    for currency, payout in entry.detail["payouts"].items():
        net = sum(one.amount - one.fee for one in movements if one.currency == currency)
        movement = Movement(
            id="txn" + payout.removeprefix("po"),
            seq=entry.seq,
            type="payout",
            source=payout,
            reference=entry.id,
            currency=currency,
            amount=-net,
            fee=0,
            at=entry.at,
        )
        lines.append(BalanceLine(movement, payout))
    return lines


def transaction_json(line: BalanceLine) -> dict[str, Any]:
    """Return a balance transaction."""
    movement, currency = line.movement, line.movement.currency
    fee = to_stripe(movement.fee, currency)
    amount = to_stripe(movement.amount, currency)
    category = movement.type
    if category == "adjustment":
        category = "dispute" if amount < 0 else "dispute_reversal"
    details = {
        "amount": fee,
        "application": None,
        "currency": currency.lower(),
        "description": "Processing fees",
        "type": "stripe_fee",
    }
    return {
        "id": movement.id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": unix(movement.at) + _AVAILABLE_S,
        "created": unix(movement.at),
        "currency": currency.lower(),
        "description": movement.reference or None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [details] if fee else [],
        "net": amount - fee,
        "reporting_category": category,
        "source": movement.source,
        "status": "available" if line.payout else "pending",
        "type": movement.type,
    }


def balance_json(desk: Desk) -> dict[str, Any]:
    """Return the balance: everything that was not paid out yet can be."""
    totals = desk.book.totals
    return {
        "object": "balance",
        "available": [
            _held(currency, totals[currency].net - totals[currency].settled if known else 0)
            for currency in sorted(desk.account.currencies)
            for known in [currency in totals]
        ],
        "livemode": False,
        "pending": [_held(currency, 0) for currency in sorted(desk.account.currencies)],
    }


def _held(currency: str, minor: int) -> dict[str, Any]:
    amount = to_stripe(minor, currency)
    return {"amount": amount, "currency": currency.lower(), "source_types": {"card": amount}}


def _start(desk: Desk, entry: Entry) -> int:
    place = desk.book.settlements.index(entry)
    return int(desk.book.settlements[place - 1].detail["movements_to"]) if place else 0


def _failure(decline: str | None) -> str | None:
    return _PAYOUT_FAILURES.get(decline, "declined") if decline else None


def _payout(
    name: str, *, amount: int, currency: str, created: int, status: str, transaction: str | None
) -> dict[str, Any]:
    return {
        "id": name,
        "object": "payout",
        "amount": amount,
        "arrival_date": created,
        "automatic": False,
        "balance_transaction": transaction,
        "created": created,
        "currency": currency.lower(),
        "description": None,
        "destination": None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": status,
    }
