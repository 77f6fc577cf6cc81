"""Adyen's 16-character references, made from the ledger's ids and found again."""

from __future__ import annotations

from cashier_sandbox.domain.book import Book
from cashier_sandbox.domain.chance import short_id, stable_id
from cashier_sandbox.domain.charge import Charge
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Refused
from cashier_sandbox.processors.adyen.errors import rejected

PSP_REFERENCE_CHARS = 16


def psp_reference(name: str) -> str:
    """Return the reference of anything in the ledger: the first 16 characters behind its prefix."""
    return short_id(name, chars=PSP_REFERENCE_CHARS)


def psp_reference_of_key(desk: Desk, key: str) -> str:
    """Return the reference of what is, or will be, done under a key."""
    return psp_reference(stable_id("any", desk.seed, desk.account.name, key))


class References:
    """Finds a charge by its reference; follows the book, and starts anew when it was emptied."""

    def __init__(self) -> None:
        self._book: Book | None = None
        self._read = 0
        self._charges: dict[str, str] = {}

    def charge(self, desk: Desk, reference: str) -> Charge:
        """Return the charge of a payment's reference; refused where this account has none."""
        book = desk.book
        if book is not self._book:
            self._book, self._read = book, 0
            self._charges.clear()
        for entry in book.entries[self._read :]:
            if entry.id in book.charges:
                self._charges[psp_reference(entry.id)] = entry.id
        self._read = len(book.entries)
        if reference not in self._charges:
            raise unknown_payment()
        return book.charges[self._charges[reference]]


def unknown_payment() -> Refused:
    """Return the refusal for a payment that this account never saw."""
    return rejected("167", "Original pspReference required for this operation", "pspReference")
