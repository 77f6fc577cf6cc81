"""Everything that one account knows, folded from its ledger entries and from nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cashier_sandbox.domain.charge import (
    Capture,
    Charge,
    Chargeback,
    Payout,
    Refund,
    Resource,
    Status,
)
from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.entry import Entry, Kind
from cashier_sandbox.domain.script import Twist


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentKey:
    """What was done under an idempotency key, and the resource as it was first answered."""

    operation: Operation
    fingerprint: str
    resource: Resource
    twist: Twist | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that moved and belongs into a settlement file; `amount` signed, minor units."""

    seq: int
    type: str
    source: str
    reference: str
    currency: str
    amount: int
    fee: int
    at: str


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


# The type that a movement has in a balance report, and the sum that it belongs to.
_REPORTED: dict[Kind, tuple[str, str]] = {
    Kind.CHARGE: ("charge", "charged"),
    Kind.CAPTURE: ("charge", "charged"),
    Kind.REFUND: ("refund", "refunded"),
    Kind.EXTERNAL_REFUND: ("refund", "refunded"),
    Kind.CHARGEBACK: ("adjustment", "charged_back"),
    Kind.PAYOUT: ("transfer", "paid_out"),
}


class Book:
    """One account's charges, refunds, payouts, chargebacks, keys and movements."""

    def __init__(self) -> None:
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Refund] = {}
        self.payouts: dict[str, Payout] = {}
        self.chargebacks: dict[str, Chargeback] = {}
        self.by_reference: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.spent: dict[str, SpentKey] = {}
        self.closed: set[str] = set()
        self.movements: list[Movement] = []
        self.settled_count = 0
        self.settlements: list[Entry] = []
        self.entries: list[Entry] = []
        self.totals: dict[str, Totals] = defaultdict(Totals)
        # What still waits for an answer by itself: resource id → (due, epoch ms; decline or None).
        self.due: dict[str, tuple[int, str | None]] = {}

    def apply(self, entry: Entry) -> None:
        """Add one entry; the same entries in the same order make the same book."""
        self.entries.append(entry)
        _APPLY[entry.kind](self, entry)
        if entry.moved:
            self._move(entry)

    def resource(self, name: str) -> Resource | None:
        """Return a charge, refund or payout by its id."""
        return self.charges.get(name) or self.refunds.get(name) or self.payouts.get(name)

    def _spend(self, entry: Entry, operation: Operation, resource: Resource) -> None:
        if entry.key is not None:
            twist = entry.detail.get("twist")
            self.spent[entry.key] = SpentKey(
                operation=operation,
                fingerprint=entry.detail["fingerprint"],
                resource=resource,
                twist=Twist(twist) if twist else None,
            )

    def _open(self, entry: Entry, resource: Resource, operation: Operation) -> None:
        self.by_reference[operation, resource.reference].append(resource.id)
        if "due_ms" in entry.detail:
            self.due[resource.id] = (entry.detail["due_ms"], entry.detail["due_decline"])
        self._spend(entry, operation, resource)

    def _charge(self, entry: Entry) -> None:
        detail = entry.detail
        charge = Charge(
            id=entry.id,
            status=Status(detail["status"]),
            amount=detail["amount"],
            currency=entry.currency or "",
            token=detail["token"],
            reference=entry.reference or "",
            capture=detail["capture"],
            metadata=detail["metadata"],
            created_at=entry.at,
            decline=detail["decline"],
            amount_captured=entry.moved,
            fee=entry.fee,
        )
        self.charges[charge.id] = charge
        self._open(entry, charge, Operation.CHARGE)

    def _capture(self, entry: Entry) -> None:
        capture = Capture(
            id=entry.id,
            amount=entry.moved,
            reference=entry.reference or "",
            created_at=entry.at,
        )
        before = self.charges[entry.charge or ""]
        after = before.with_capture(capture, fee=entry.fee, final=entry.detail["final"])
        self.charges[after.id] = after
        self._spend(entry, Operation.CAPTURE, after)

    def _void(self, entry: Entry) -> None:
        after = self.charges[entry.charge or ""].without_rest()
        self.charges[after.id] = after
        self._spend(entry, Operation.VOID, after)

    def _resolve(self, entry: Entry) -> None:
        self.due.pop(entry.id, None)
        code = entry.detail["decline"]
        status = Status.SUCCEEDED if code is None else Status.DECLINED
        if charge := self.charges.get(entry.id):
            self.charges[entry.id] = charge.resolved(code=code, fee=entry.fee)
        elif refund := self.refunds.get(entry.id):
            self.refunds[entry.id] = replace(refund, status=status, decline=code)
            self._give_back(refund.charge, pending=-refund.amount, done=-entry.moved)
        else:
            payout = self.payouts[entry.id]
            self.payouts[entry.id] = replace(payout, status=status, decline=code, fee=entry.fee)

    def _refund(self, entry: Entry) -> None:
        detail = entry.detail
        refund = Refund(
            id=entry.id,
            status=Status(detail["status"]),
            charge=entry.charge or "",
            amount=detail["amount"],
            currency=entry.currency or "",
            reference=entry.reference or "",
            metadata=detail["metadata"],
            created_at=entry.at,
            decline=detail["decline"],
            external=entry.kind is Kind.EXTERNAL_REFUND,
        )
        self.refunds[refund.id] = refund
        pending = refund.amount if refund.status is Status.PENDING else 0
        self._give_back(refund.charge, pending=pending, done=-entry.moved)
        self._open(entry, refund, Operation.REFUND)

    def _give_back(self, charge_id: str, *, pending: int, done: int) -> None:
        charge = self.charges[charge_id]
        self.charges[charge_id] = replace(
            charge,
            amount_refunded=charge.amount_refunded + done,
            amount_refund_pending=charge.amount_refund_pending + pending,
        )

    def _payout(self, entry: Entry) -> None:
        detail = entry.detail
        payout = Payout(
            id=entry.id,
            status=Status(detail["status"]),
            amount=detail["amount"],
            currency=entry.currency or "",
            destination=detail["token"],
            reference=entry.reference or "",
            metadata=detail["metadata"],
            created_at=entry.at,
            decline=detail["decline"],
            fee=entry.fee,
        )
        self.payouts[payout.id] = payout
        self._open(entry, payout, Operation.PAYOUT)

    def _chargeback(self, entry: Entry) -> None:
        charge = self.charges[entry.charge or ""]
        taken = charge.amount_charged_back - entry.moved
        self.charges[charge.id] = replace(charge, amount_charged_back=taken)
        self.chargebacks[entry.id] = Chargeback(
            id=entry.id,
            charge=charge.id,
            amount=-entry.moved,
            fee=entry.fee,
            currency=charge.currency,
            reason=entry.detail["reason"],
            reference=charge.reference,
            created_at=entry.at,
        )

    def _key_closed(self, entry: Entry) -> None:
        self.closed.add(entry.key or "")

    def _settlement(self, entry: Entry) -> None:
        for movement in self.movements[self.settled_count : entry.detail["movements_to"]]:
            self.totals[movement.currency].settled += movement.amount - movement.fee
        self.settled_count = entry.detail["movements_to"]
        self.settlements.append(entry)

    def _move(self, entry: Entry) -> None:
        kind, source, reference = entry.kind, entry.id, entry.reference or ""
        if kind is Kind.RESOLVE:
            kind = _resolved_kind(entry.id)
        elif kind is Kind.CAPTURE:
            source = entry.charge or ""
        type_, total = _REPORTED[kind]
        currency = entry.currency or ""
        sums = self.totals[currency]
        setattr(sums, total, getattr(sums, total) + abs(entry.moved))
        sums.fees += entry.fee
        sums.net += entry.moved - entry.fee
        self.movements.append(
            Movement(
                seq=entry.seq,
                type=type_,
                source=source,
                reference=reference,
                currency=currency,
                amount=entry.moved,
                fee=entry.fee,
                at=entry.at,
            )
        )


def books_of(entries: Iterable[Entry]) -> dict[str, Book]:
    """Return every account's book as the entries make it."""
    books: dict[str, Book] = defaultdict(Book)
    for entry in entries:
        books[entry.account].apply(entry)
    return books


def _resolved_kind(name: str) -> Kind:
    return {"ch": Kind.CHARGE, "re": Kind.REFUND, "po": Kind.PAYOUT}[name[:2]]


_APPLY: dict[Kind, Callable[[Book, Entry], None]] = {
    Kind.CHARGE: Book._charge,  # noqa: SLF001  the table belongs to the class
    Kind.CAPTURE: Book._capture,  # noqa: SLF001
    Kind.VOID: Book._void,  # noqa: SLF001
    Kind.RESOLVE: Book._resolve,  # noqa: SLF001
    Kind.REFUND: Book._refund,  # noqa: SLF001
    Kind.EXTERNAL_REFUND: Book._refund,  # noqa: SLF001
    Kind.CHARGEBACK: Book._chargeback,  # noqa: SLF001
    Kind.PAYOUT: Book._payout,  # noqa: SLF001
    Kind.KEY_CLOSED: Book._key_closed,  # noqa: SLF001
    Kind.SETTLEMENT: Book._settlement,  # noqa: SLF001
}
