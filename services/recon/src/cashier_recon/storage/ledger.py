"""Journals and entries: inserted, never changed; the database refuses what does not balance."""

from collections.abc import Sequence
from itertools import chain

from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_common.db.types import insert_many
from cashier_recon.domain.journal import Journal
from cashier_recon.storage.bulk import arrays
from cashier_recon.storage.tables import entries, journals

_JOURNAL = (
    "journal_id",
    "cause",
    "merchant",
    "payment",
    "operation",
    "processor_account",
    "source",
    "entry_count",
    "book_time",
    "traceparent",
)
_ENTRY = ("journal_id", "leg", "account", "owner", "asset", "amount", "book_time")
_ADD_JOURNALS = compiled(insert_many(journals, *_JOURNAL))
_ADD_ENTRIES = compiled(insert_many(entries, *_ENTRY))


class LedgerWrites:
    """The part of a unit that books."""

    _tx: UnitOfWork

    def add_journals(self, booked: Sequence[Journal]) -> None:
        """Book them all, or nothing: a journal that stands already breaks the unit."""
        if not booked:
            return
        self._tx.write(
            _ADD_JOURNALS,
            expect=len(booked),
            **arrays(_JOURNAL, booked, _journal_values),
        )
        legs = list(chain.from_iterable(map(_entry_rows, booked)))
        self._tx.write(
            _ADD_ENTRIES, expect=len(legs), **arrays(_ENTRY, legs, lambda values: values)
        )


def _journal_values(journal: Journal) -> Sequence[object]:
    return (
        journal.journal_id,
        journal.cause.value,
        journal.merchant,
        journal.payment,
        journal.operation,
        journal.processor_account,
        journal.source,
        len(journal.entries),
        journal.book_time,
        journal.traceparent,
    )


def _entry_rows(journal: Journal) -> list[Sequence[object]]:
    return [
        (
            journal.journal_id,
            leg,
            entry.account.value,
            entry.owner,
            entry.asset,
            entry.amount,
            journal.book_time,
        )
        for leg, entry in enumerate(journal.entries, start=1)
    ]
