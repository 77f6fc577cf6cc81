"""dLocal's ids, made from the ledger's and found again, and what stands under a merchant's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from cashier_sandbox.domain.book import Book
from cashier_sandbox.domain.charge import Capture, Charge
from cashier_sandbox.domain.entry import Entry, Kind
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Refused
from cashier_sandbox.processors.dlocal.errors import rejected

_PREFIXES = {"ch": "D-4", "cap": "D-4", "re": "R-4", "po": "PO-4"}
_INDEXED = {Kind.CHARGE, Kind.CAPTURE, Kind.REFUND, Kind.EXTERNAL_REFUND, Kind.PAYOUT}


def dlocal_id(name: str) -> str:
    """Return dLocal's id of a thing in the ledger: `ch_…` → `D-4-<uuid>`."""
    text = blake2b(name.encode(), digest_size=16).hexdigest()
    groups = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return "-".join((_PREFIXES[name.partition("_")[0]], *groups))


@dataclass(slots=True)
class References:
    """Follows the book of one account, and starts anew when it was emptied."""

    desk: Desk
    _book: Book | None = None
    _read: int = 0
    _names: dict[str, str] = field(default_factory=dict)  # dLocal's id → the ledger's
    _orders: dict[tuple[str, str], str] = field(default_factory=dict)  # (prefix, our id) → ledger's
    _charges: dict[str, str] = field(default_factory=dict)  # capture → its charge

    def name(self, reference: str) -> str | None:
        """Return the ledger's id of one of dLocal's."""
        self._follow()
        return self._names.get(reference)

    def ordered(self, kind: str, order_id: str) -> str | None:
        """Return what stands under the merchant's own id: kind is `payment`, `re` or `po`."""
        self._follow()
        return self._orders.get((kind, order_id))

    def payment(self, reference: str) -> tuple[Charge, Capture | None]:
        """Return the payment with this id, and which capture it is if it is one."""
        return self.thing(self.name(reference) or "")

    def thing(self, name: str) -> tuple[Charge, Capture | None]:
        """Return the payment with this id of the ledger."""
        self._follow()
        charge = self.desk.book.charges.get(self._charges.get(name, name))
        if charge is None:
            raise unknown("Payment")
        return charge, next((one for one in charge.captures if one.id == name), None)

    def _follow(self) -> None:
        book = self.desk.book
        if book is not self._book:
            self._book, self._read = book, 0
            self._names.clear()
            self._orders.clear()
            self._charges.clear()
        for entry in book.entries[self._read :]:
            if entry.kind in _INDEXED:
                self._note(entry)
        self._read = len(book.entries)

    def _note(self, entry: Entry) -> None:
        self._names[dlocal_id(entry.id)] = entry.id
        kind = "payment" if entry.kind in {Kind.CHARGE, Kind.CAPTURE} else entry.id[:2]
        if entry.kind is Kind.CAPTURE:
            self._charges[entry.id] = entry.charge or ""
        if entry.key is not None and entry.reference:
            self._orders.setdefault((kind, entry.reference), entry.id)


def unknown(what: str) -> Refused:
    """Return the refusal for what this account does not have."""
    number = 4001 if what == "Refund" else 4000
    return rejected(number, f"{what} not found.", status=404)
