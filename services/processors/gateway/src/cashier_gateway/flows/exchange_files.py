"""Files to the bank and reports from it: written before they leave, sent once, read once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from cashier_common.errors import Refusal
from cashier_common.failpoints import hit
from cashier_gateway.domain.ach import AchEntry, FileState, Line, Told
from cashier_gateway.flows.ach_ports import ClearingBank, Files, ReportRefused, Upload
from cashier_gateway.flows.notice_ports import Letters
from cashier_gateway.flows.ports import Terminal

# A file of which nothing is known is asked about again after this.
ASK_AGAIN = timedelta(seconds=5)
# Notices that are written in one unit.
LETTERS_MAX = 200

_log = structlog.get_logger(__name__)
_STATES = {Upload.ACCEPTED: FileState.ACCEPTED, Upload.REFUSED: FileState.REFUSED}


@dataclass(frozen=True, slots=True)
class ExchangeFiles:
    """The flow with its ports; any number of replicas may run it."""

    files: Files
    letters: Letters
    terminals: Mapping[str, Terminal]

    async def __call__(self) -> int:
        """Do what is due at every bank; how much that was."""
        done = 0
        for name, terminal in list(self.terminals.items()):
            bank = terminal.processor
            if not isinstance(bank, ClearingBank):
                continue
            for work in (self.write, self.send, self.read):
                try:
                    done += await work(name, bank)
                except Refusal:  # the database is away: the worker waits for it
                    raise
                except Exception:  # noqa: BLE001 - one bank's fault must not stop the others
                    _log.exception("ach_work_failed", account=name, work=work.__name__)
        return done

    async def write(self, account: str, bank: ClearingBank) -> int:
        """Put what waits into a file. A crash leaves the entries waiting, or the file written."""
        file = await self.files.gather(
            account, bank.write_file, entries_max=bank.entries_max, window_s=bank.window_s
        )
        if file is None:
            return 0
        _log.info("ach_file_written", account=account, file=file.file_id, bytes=len(file.content))
        await hit("gateway.after_file_written")
        return 1

    async def send(self, account: str, bank: ClearingBank) -> int:
        """Send one file, always the same bytes under the same id.

        A crash or a lost answer leaves it SENDING: then the bank is asked first, and gets it again
        only where it says that it has none. It refuses a second one of that id or content, so even
        a copy that is still on its way makes nothing twice.
        """
        file = await self.files.claim(account)
        if file is None:
            return 0
        seen = Upload.ABSENT
        if file.state is FileState.SENDING:
            seen = await bank.find_file(file)
        if seen is Upload.ABSENT:
            await hit("gateway.before_file_sent")
            seen = await bank.upload(file)
            await hit("gateway.after_file_sent")
        state = _STATES.get(seen)
        if state is None:
            _log.warning("ach_file_unanswered", account=account, file=file.file_id, seen=seen)
            await self.files.put_off(file, ASK_AGAIN)
            return 0
        await self.files.settle(file, state)
        if state is FileState.REFUSED:
            _log.error("ach_file_refused", account=account, file=file.file_id)
        return 1

    async def read(self, account: str, bank: ClearingBank) -> int:
        """Put what new reports say into the inbox; a crash reads the same report again."""
        read = 0
        for head in await bank.list_reports(await self.files.cursor(account)):
            try:
                lines = await bank.fetch_report(head)
            except ReportRefused as refused:
                _log.error(
                    "ach_report_refused", account=account, report=head.report_id, why=str(refused)
                )
                break  # the cursor stays: nothing behind it is read before somebody looks
            if lines is None:
                break
            await self.take(account, bank, lines, source=head.report_id)
            await hit("gateway.after_report")
            await self.files.advance(account, head.seq)
            read += 1
        return read

    async def take(
        self, account: str, bank: ClearingBank, lines: Sequence[Line], *, source: str
    ) -> int:
        """Put the lines of a report into the inbox, each once; how many were new there."""
        entries = await self.files.known(account, lines)
        notices = [bank.notice_of(line, _of(line, entries), source=source) for line in lines]
        new = 0
        for first in range(0, len(notices), LETTERS_MAX):
            part = notices[first : first + LETTERS_MAX]
            new += await self.letters.put(account, part, source.encode())
        settled = [_of(line, entries) for line in lines if line.told is Told.SETTLED]
        await self.files.mark_settled(account, [entry.reference for entry in settled if entry])
        return new


def source_of(content: bytes) -> str:
    """What names a file that somebody hands in: its content."""
    return f"file-{hashlib.sha256(content).hexdigest()[:16]}"


def _of(line: Line, entries: Mapping[str, AchEntry]) -> AchEntry | None:
    return entries.get(line.reference) or entries.get(line.trace)
