"""What a bank knows of its clearing house entries: files, what waits, what has to be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from cashier_sandbox.domain.entry import Entry, Kind

BANK_KINDS = frozenset(
    {Kind.BANK_TOKEN, Kind.ACH_FILE, Kind.ACH_PLAN, Kind.ACH_TOLD, Kind.ACH_REPORT}
)
_FAILURES = {Kind.CAPTURE_FAILED, Kind.REFUND_FAILED, Kind.PAYOUT_FAILED}
TRACE_NUMBERS_MAX = 10_000_000


class Standing(StrEnum):
    """Where an entry stands."""

    PENDING = "pending"
    SETTLED = "settled"
    RETURNED = "returned"


class Told(StrEnum):
    """What a report says of an entry."""

    SETTLED = "settled"
    RETURNED = "returned"
    CHANGED = "changed"
    DISHONORED = "dishonored"


@dataclass(frozen=True, slots=True, kw_only=True)
class BankToken:
    """An account behind a token; `account_type` is checking or savings."""

    id: str
    account_number: str
    routing_number: str
    account_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will happen to an entry: a return in place of settling, or after it; or a change."""

    code: str
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AchEntry:
    """One entry of a file, as far as its return has to repeat it; `account` as it was written."""

    id: str
    file: str
    amount: int
    trace: str
    transaction_code: str
    routing: str
    account: str
    individual_name: str
    company: Mapping[str, Any]
    standing: Standing = Standing.PENDING
    code: str = ""
    return_trace: str = ""
    has_settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a report."""

    told: Told
    entry: str
    code: str
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the bank has for the originator: a settlement, or a file of returns and changes."""

    id: str
    type: str
    at: str
    seq: int
    items: tuple[Item, ...]


class BankBook:
    """A bank's part of a book, folded from the same entries."""

    def __init__(self) -> None:
        self.tokens: dict[str, BankToken] = {}
        self.files: dict[str, Entry] = {}
        self.hashes: dict[str, str] = {}
        self.entries: dict[str, AchEntry] = {}
        self.by_trace: dict[str, str] = {}
        self.plans: dict[str, Plan] = {}
        self.untold: list[Item] = []
        self.reports: list[Report] = []
        # Of instant credits: the payout's id → the end-to-end id that it was sent under.
        self.transfers: dict[str, str] = {}
        self._told_count = 0

    @property
    def waiting(self) -> list[AchEntry]:
        """Entries that have not settled yet, in the order of their arrival."""
        return [entry for entry in self.entries.values() if entry.standing is Standing.PENDING]

    def hear(self, entry: Entry) -> None:
        """Take one ledger entry; those that are no bank's change nothing."""
        detail, kind = entry.detail, entry.kind
        if kind is Kind.BANK_TOKEN:
            self.tokens[entry.id] = BankToken(id=entry.id, **detail["token"])
        elif kind is Kind.ACH_FILE:
            self._take(entry)
        elif kind is Kind.ACH_PLAN:
            self.plans[entry.id] = Plan(code=detail["code"], late=detail["late"])
        elif kind is Kind.ACH_TOLD:
            self.plans.pop(entry.id, None)
            self._tell(entry.id, Told(detail["told"]), detail["code"])
        elif kind is Kind.PAYOUT:
            self.transfers[entry.id] = entry.key or ""
        elif kind is Kind.ACH_REPORT:
            self._report(entry)
        elif entry.id in self.entries and (kind is Kind.RESOLVE or kind in _FAILURES):
            self._end(entry.id, detail["code"] if kind in _FAILURES else detail["decline"])

    def _take(self, entry: Entry) -> None:
        self.files[entry.id] = entry
        self.hashes[entry.detail["sha256"]] = entry.id
        for row in entry.detail["entries"]:
            taken = AchEntry(file=entry.id, **row["ach"])
            self.entries[taken.id] = taken
            self.by_trace[taken.trace] = taken.id
            if row["plan"]:
                self.plans[taken.id] = Plan(**row["plan"])

    def _end(self, name: str, code: str | None) -> None:
        if code is None:
            self.entries[name] = replace(
                self.entries[name], standing=Standing.SETTLED, has_settled=True
            )
            self._tell(name, Told.SETTLED, "")
            return
        self.plans.pop(name, None)
        item = self._tell(name, Told.RETURNED, code)
        self.entries[name] = replace(
            self.entries[name], standing=Standing.RETURNED, code=code, return_trace=item.trace
        )

    def _tell(self, name: str, told: Told, code: str) -> Item:
        self._told_count += 1
        bank = self.entries[name].routing[:8]
        trace = f"{bank}{self._told_count % TRACE_NUMBERS_MAX:07d}"
        item = Item(told=told, entry=name, code=code, trace=trace)
        self.untold.append(item)
        return item

    def _report(self, entry: Entry) -> None:
        is_settlement = entry.detail["type"] == Told.SETTLED
        items = [item for item in self.untold if (item.told is Told.SETTLED) == is_settlement]
        self.untold = [item for item in self.untold if item not in items]
        self.reports.append(
            Report(
                id=entry.id,
                type="settlement" if is_settlement else "returns",
                at=entry.at,
                seq=entry.seq,
                items=tuple(items),
            )
        )


def opened_by(entry: Entry) -> Iterator[Entry]:
    """The charges, refunds and payouts that a file opens, as entries of their own kinds."""
    if entry.kind is not Kind.ACH_FILE:
        return
    for row in entry.detail["entries"]:
        yield replace(
            entry,
            kind=Kind(row["kind"]),
            id=row["ach"]["id"],
            key=None,
            charge=row["charge"] or None,
            reference=row["reference"],
            detail={
                "status": "pending",
                "amount": row["ach"]["amount"],
                "token": row["ach"]["account"],
                "capture": True,
                "metadata": {},
                "decline": None,
            },
        )
