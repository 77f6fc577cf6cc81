"""Counts and sums of the control records."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cashier_nacha.records import Batch, Entry, IatEntry
from cashier_nacha.transaction_codes import TRANSACTION_CODES, Direction

BLOCK_LINES: Final = 10
# The hash has ten digits; what is beyond is dropped from its left.
HASH_MODULUS: Final = 10**10


@dataclass(frozen=True, slots=True)
class Totals:
    """What a batch or file holds: lines of entries, the hash of their banks, cents each way."""

    entry_count: int
    entry_hash: int
    debits: int
    credits: int

    def told(self) -> dict[str, int]:
        """By the names of the control records' fields."""
        return {
            "entry_count": self.entry_count,
            "entry_hash": self.entry_hash,
            "debits": self.debits,
            "credits": self.credits,
        }


def batch_totals(entries: Iterable[Entry | IatEntry]) -> Totals:
    """Of the entries of one batch."""
    count = hashed = debits = credited = 0
    for entry in entries:
        count += entry.records
        hashed += int(entry.rdfi)
        if TRANSACTION_CODES[entry.transaction_code].direction is Direction.DEBIT:
            debits += entry.amount
        else:
            credited += entry.amount
    return Totals(count, hashed % HASH_MODULUS, debits, credited)


def file_totals(batches: Iterable[Batch]) -> Totals:
    """Of all batches."""
    parts = [batch_totals(batch.entries) for batch in batches]
    return Totals(
        sum(part.entry_count for part in parts),
        sum(part.entry_hash for part in parts) % HASH_MODULUS,
        sum(part.debits for part in parts),
        sum(part.credits for part in parts),
    )
