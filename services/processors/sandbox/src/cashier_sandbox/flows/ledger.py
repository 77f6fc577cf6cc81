"""The only place where something happens: a line is written, then the books know it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from cashier_sandbox.domain.book import Book, books_of
from cashier_sandbox.domain.entry import Draft, Entry, placed
from cashier_sandbox.domain.notice import News
from cashier_sandbox.flows.refusals import Code, Refused


class Journal(Protocol):
    """Where entries survive a restart."""

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one entry; OSError means that nothing was added."""

    def clear(self) -> None:
        """Forget everything."""


class Ledger:
    """All entries in order, and each account's book; `now` answers RFC 3339 UTC."""

    def __init__(self, journal: Journal, entries: Iterable[Entry], now: Callable[[], str]) -> None:
        self._journal, self._now = journal, now
        self.entries = list(entries)
        self.books: dict[str, Book] = books_of(self.entries)
        # Who is told what happens at an account, right after it did.
        self.listeners: dict[str, Callable[[News], None]] = {}

    def record(self, draft: Draft) -> Entry:
        """Make it true; if the disk refuses, nothing happened and the caller is told so."""
        entry = placed(draft, seq=len(self.entries) + 1, at=self._now())
        try:
            self._journal.append(entry.as_dict())
        except OSError as error:
            raise Refused(
                Code.SERVICE_UNAVAILABLE,
                "the ledger cannot be written, so nothing was done; look at the sandbox's disk",
            ) from error
        self.entries.append(entry)
        book = self.books[entry.account]
        book.apply(entry)
        if listener := self.listeners.get(entry.account):
            listener(book.news[-1])
        return entry

    def forget_all(self) -> None:
        """Empty the ledger, its file and every book."""
        self._journal.clear()
        self.entries.clear()
        self.books = defaultdict(Book)
