"""What a statement says, whatever its format: signed lines, and rows that cannot be read."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from cashier_common.ids import derived_name
from cashier_recon.domain.payment_fact import Leg

INT64_MAX = 2**63 - 1


class Category(StrEnum):
    """What sort of line it is, over all formats."""

    CHARGE = "CHARGE"
    REFUND = "REFUND"
    PAYOUT = "PAYOUT"  # to a customer
    REVERSAL = "REVERSAL"
    DISPUTE = "DISPUTE"
    BANK = "BANK"  # between the processor's balance and our bank
    FEE = "FEE"
    RESERVE = "RESERVE"
    OTHER = "OTHER"  # a known type that we have no rule for
    UNKNOWN = "UNKNOWN"  # a type that is in no list

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that such a line may settle; none where it is none of ours."""
        return _LEGS.get(self, ())


_LEGS = {
    Category.CHARGE: (Leg.CHARGE,),
    Category.REFUND: (Leg.REFUND,),
    Category.PAYOUT: (Leg.PAYOUT,),
    Category.REVERSAL: (Leg.REVERSAL,),
    # Some rails tell what a bank took back as a reversal, and never as a dispute.
    Category.DISPUTE: (Leg.DISPUTE, Leg.REVERSAL),
}


class Reject(StrEnum):
    """Why a row could not become a line."""

    LINE_UNPARSEABLE = "LINE_UNPARSEABLE"
    IDENTIFIER_CORRUPTED = "IDENTIFIER_CORRUPTED"
    FILE_RESTATED = "FILE_RESTATED"  # the same id, said otherwise by an earlier statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. Amounts in minor units, signed: positive is to our balance; net = amount - fee."""

    line_id: str
    processor_account: str
    external_id: str
    occurrence: int
    """1 for the first line with this id in a statement, 2 when the statement repeats it…"""
    row: int
    type: str
    category: Category
    source: str
    description: str
    asset: str
    amount: int
    fee: int
    net: int
    created: datetime
    available_on: datetime
    payout: str

    @property
    def facts(self) -> bytes:
        """SHA-256 over what may not change from one export to the next."""
        parts = (
            self.external_id,
            self.type,
            self.source,
            self.description,
            self.asset,
            str(self.amount),
            str(self.fee),
            str(self.net),
        )
        return sha256("\x1f".join(parts).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """A row that could not become a line; `net` is its money where that much could be read."""

    row: int
    external_id: str
    reject: Reject
    detail: str
    raw: str
    asset: str | None
    net: int | None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement that was read whole."""

    lines: tuple[Line, ...]
    rejected: tuple[RejectedRow, ...]

    @property
    def totals(self) -> dict[str, int]:
        """Sum of the gross amounts of the lines per asset."""
        sums: dict[str, int] = defaultdict(int)
        for line in self.lines:
            sums[line.asset] += line.amount
        return dict(sums)


class Broken(Exception):
    """The file as a whole cannot be trusted: it is quarantined, and the text says why."""


def numbered(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Give repeated ids their occurrence and every line its id, whatever the order of rows."""
    by_id: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_id[line.external_id].append(line)
    done: list[Line] = []
    for same in by_id.values():
        ordered = same if len(same) == 1 else sorted(same, key=lambda line: (line.facts, line.row))
        for occurrence, line in enumerate(ordered, start=1):
            name = line_name(line.processor_account, line.external_id, occurrence)
            done.append(replace(line, occurrence=occurrence, line_id=name))
    return tuple(sorted(done, key=lambda line: line.row))


def line_name(processor_account: str, external_id: str, occurrence: int) -> str:
    """`lines/ln_…`: the same line of the same account, in whichever file it stands."""
    return derived_name("lines", "ln", processor_account, external_id, str(occurrence))
