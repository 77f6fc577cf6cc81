"""What the clearing house needs of the world: entries and files in tables, and a bank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from cashier_gateway.domain.ach import AchEntry, AchFile, EntryState, FileState, Line
from cashier_gateway.domain.notice import Notice


class Entries(Protocol):
    """Entries that were promised, and whether they can still be taken back."""

    async def promise(self, entry: AchEntry) -> AchEntry | None:
        """Write the entry, or find it as it stands; None for a refund of what is no entry of ours.

        A refund takes the token of the entry that it returns.
        """

    async def remove(self, entry: AchEntry) -> EntryState:
        """Take the entry back unless a file has it; one that was never written never will be."""

    async def find(self, *, merchant: str, operation: str) -> AchEntry | None:
        """The entry as it stands."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the next file of an account begins with."""

    file: int
    trace: int


class Files(Protocol):
    """Files for the clearing house, and how far its reports were read."""

    async def gather(
        self,
        account: str,
        write: "WriteFile",
        *,
        entries_max: int,
        window_s: int,
    ) -> AchFile | None:
        """Put what waits into one file, in one unit; None where it is neither enough nor old."""

    async def claim(self, account: str) -> AchFile | None:
        """A file that has to leave, leased and now SENDING; as it stood before in `state`."""

    async def settle(self, file: AchFile, state: FileState) -> None:
        """Write what became of a file."""

    async def put_off(self, file: AchFile, pause: timedelta) -> None:
        """Let go of a file of which nothing is known; it is claimed again after the pause."""

    async def known(self, account: str, lines: Sequence[Line]) -> Mapping[str, AchEntry]:
        """The entries that lines are about, by reference and by trace."""

    async def mark_settled(self, account: str, references: Sequence[str]) -> None:
        """Remember that the bank settled these."""

    async def cursor(self, account: str) -> int:
        """Up to which report the account's reports were read."""

    async def advance(self, account: str, cursor: int) -> None:
        """Move the cursor on, never back."""


class WriteFile(Protocol):
    """Makes a file of entries: its id, its bytes, and each entry's trace number."""

    def __call__(
        self, entries: Sequence[AchEntry], numbers: Numbers
    ) -> tuple[str, bytes, Sequence[str]]:
        """No entry is left out, and nothing is cut short."""


class Upload(StrEnum):
    """What a bank says about a file."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"  # unread or unreadable: nothing of it happens
    ABSENT = "ABSENT"
    UNSENT = "UNSENT"  # nothing left this machine, or the bank promises that it did nothing
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class ReportHead:
    """A report that is there to be fetched."""

    seq: int
    report_id: str
    type: str


@runtime_checkable
class ClearingBank(Protocol):
    """A processor that takes files. No method raises for what the network does but `OSError`s."""

    entries_max: int
    window_s: int

    def write_file(
        self, entries: Sequence[AchEntry], numbers: Numbers
    ) -> tuple[str, bytes, Sequence[str]]:
        """See `WriteFile`."""

    async def upload(self, file: AchFile) -> Upload:
        """Send the file under its id."""

    async def find_file(self, file: AchFile) -> Upload:
        """Ask whether the bank has this file with this content."""

    async def list_reports(self, after: int) -> Sequence[ReportHead]:
        """What is behind a cursor; empty too where the bank cannot be asked now."""

    async def fetch_report(self, head: ReportHead) -> Sequence[Line] | None:
        """The lines of a report; None where it cannot be had now; ReportRefused."""

    def read_returns(self, content: bytes) -> Sequence[Line]:
        """The lines of a file of returns; ReportRefused says what is wrong with it."""

    def notice_of(self, line: Line, entry: AchEntry | None, *, source: str) -> Notice:
        """What the line says about a call, for the inbox; `source` names the report."""


class ReportRefused(Exception):
    """A report that cannot be read. The sentence has no account number in it."""
