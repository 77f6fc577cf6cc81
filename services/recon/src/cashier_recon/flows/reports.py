"""What a reader may ask of the books; nothing here changes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cashier_recon.domain.recon_exception import ReconException
from cashier_recon.domain.run_plan import Run


@dataclass(frozen=True, slots=True)
class Balance:
    """Debits positive, in minor units."""

    account: str
    owner: str
    asset: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedEntry:
    """One leg with its journal."""

    journal_id: str
    leg: int
    account: str
    owner: str
    asset: str
    amount: int
    payment: str
    operation: str
    cause: str
    book_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLine:
    """One processor account and asset, in minor units, signed as statements show them."""

    processor_account: str
    asset: str
    booked_minor: int = 0
    booked_count: int = 0
    settled_minor: int = 0
    settled_count: int = 0
    open_minor: int = 0
    open_count: int = 0
    fee_minor: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """Where everything stands."""

    lines: Sequence[SummaryLine]
    open_exceptions: Mapping[str, int]
    positions: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Empty words mean any."""

    payment: str
    account: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFilter:
    """Empty means any."""

    states: Sequence[str]
    types: Sequence[str]
    processor_account: str


After = tuple[str | int, ...] | None
"""The key of the last row of the page before."""


class Reports(Protocol):
    """Reads of the books. Pages hold one row more than `size` where there is a next one."""

    async def balances(
        self, *, account: str, owner: str, as_of: datetime | None
    ) -> list[Balance]: ...

    async def entries(
        self, wanted: EntryFilter, *, after: After, size: int
    ) -> list[BookedEntry]: ...

    async def run(self, run_id: str) -> Run | None: ...

    async def runs(self, *, after: After, size: int) -> list[Run]: ...

    async def exception(self, exception_id: str) -> ReconException | None: ...

    async def exceptions(
        self, wanted: ExceptionFilter, *, after: After, size: int
    ) -> list[ReconException]: ...

    async def summary(self, processor_account: str) -> Summary: ...
