"""Money that moved, and the sums that it belongs to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.entry import Entry, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that moved and belongs into a settlement file; `amount` signed, minor units."""

    id: str
    seq: int
    type: str
    source: str
    reference: str
    currency: str
    amount: int
    fee: int
    at: str
    # What happened, and the charge that it happened to.
    entry: str = ""
    charge: str = ""


@dataclass(slots=True)
class Totals:
    """Sums of one currency in minor units; all are positive but `net` and `settled`."""

    charged: int = 0
    refunded: int = 0
    charged_back: int = 0
    paid_out: int = 0
    fees: int = 0
    net: int = 0
    settled: int = 0


# The type that a movement has in a balance report, the sum that it belongs to, and its sign there.
_REPORTED: dict[Kind, tuple[str, str, int]] = {
    Kind.CHARGE: ("charge", "charged", 1),
    Kind.CAPTURE: ("charge", "charged", 1),
    Kind.REFUND: ("refund", "refunded", -1),
    Kind.EXTERNAL_REFUND: ("refund", "refunded", -1),
    Kind.CHARGEBACK: ("adjustment", "charged_back", -1),
    Kind.DISPUTE_CLOSED: ("adjustment", "charged_back", -1),
    Kind.DISPUTE_AGAIN: ("adjustment", "charged_back", -1),
    Kind.PAYOUT: ("transfer", "paid_out", -1),
    Kind.CAPTURE_FAILED: ("payment_failure_refund", "charged", 1),
    Kind.REFUND_FAILED: ("refund_failure", "refunded", -1),
    Kind.PAYOUT_FAILED: ("transfer_failure", "paid_out", -1),
}
_RESOLVED: dict[str, Kind] = {"ch": Kind.CHARGE, "re": Kind.REFUND, "po": Kind.PAYOUT}


def movement_of(entry: Entry) -> Movement:
    """Return the movement of an entry that moved money; its id never changes."""
    kind = _kind(entry)
    return Movement(
        id=stable_id("txn", 0, entry.account, entry.seq, entry.id),
        seq=entry.seq,
        type=_REPORTED[kind][0],
        source=(entry.charge or "") if kind is Kind.CAPTURE else entry.id,
        entry=entry.id,
        charge=entry.charge or "",
        reference=entry.reference or "",
        currency=entry.currency or "",
        amount=entry.moved,
        fee=entry.fee,
        at=entry.at,
    )


def add_up(totals: defaultdict[str, Totals], entry: Entry) -> None:
    """Add an entry that moved money to the sums of its currency."""
    _, name, sign = _REPORTED[_kind(entry)]
    sums = totals[entry.currency or ""]
    setattr(sums, name, getattr(sums, name) + sign * entry.moved)
    sums.fees += entry.fee
    sums.net += entry.moved - entry.fee


def _kind(entry: Entry) -> Kind:
    return _RESOLVED[entry.id[:2]] if entry.kind is Kind.RESOLVE else entry.kind
