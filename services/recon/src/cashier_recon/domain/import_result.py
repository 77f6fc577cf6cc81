"""What became of a file."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cashier_common.ids import derived_name


class StatementState(StrEnum):
    """The names are those of `Statement.State` without its prefix."""

    IMPORTED = "IMPORTED"
    QUARANTINED = "QUARANTINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the sender says about the file. `format` is the number of the contract's enum."""

    processor_account: str
    format: int
    file_name: str
    period_end_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One imported file. `totals` are gross sums in minor units per asset."""

    statement_id: str
    processor_account: str
    format: int
    file_name: str
    content_hash: bytes
    period_end_time: datetime | None
    state: StatementState
    detail: str
    line_count: int
    repeated_line_count: int
    """Lines that an earlier statement had, word for word; they are not counted again."""
    rejected_line_count: int
    totals: dict[str, int]
    create_time: datetime


def statement_name(header: Header, content_hash: bytes) -> str:
    """`statements/st_…`: the same file for the same account is the same statement."""
    return derived_name(
        "statements", "st", header.processor_account, str(header.format), content_hash.hex()
    )
