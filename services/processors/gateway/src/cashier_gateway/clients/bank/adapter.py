"""Speaks to one account at a bank: entries that a file carries, and instant credits."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import orjson

from cashier_gateway.clients.bank import reports
from cashier_gateway.clients.bank.file import is_routable, write_file
from cashier_gateway.clients.bank.line import FileLine
from cashier_gateway.clients.bank.notices import read_notices
from cashier_gateway.clients.bank.wire import (
    HTTP_CONFLICT,
    HTTP_CREATED,
    HTTP_OK,
    error_answer,
    error_of,
    status_answer,
    transfer_of,
)
from cashier_gateway.clients.declines import Codes, load_codes
from cashier_gateway.clients.failures import EXCHANGE_FAILURES, failure_answer, patience
from cashier_gateway.clients.json_line import JsonLine
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.ach import (
    AchEntry,
    AchFile,
    EntryState,
    Line,
    end_to_end_id,
    entry_of,
)
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ach_ports import Entries, Numbers, ReportHead, Upload
from cashier_gateway.flows.ports import Keep

LOOK_UP_TIMEOUT_S: Final = 5.0
RTP: Final = "RTP"
_TRANSFERS: Final = "/rtp/credit_transfers"


class BankProcessor:
    """ACH debits and credits, and RTP payouts, of one account; `entries` keeps what is promised."""

    def __init__(
        self,
        account: ProcessorAccount,
        *,
        base_url: str,
        credential: str,
        webhook_secrets: tuple[str, ...] = (),
        entries: Entries | None = None,
    ) -> None:
        self._account, self._secrets, self._entries = account, webhook_secrets, entries
        self._codes: Codes = load_codes("bank")
        self._headers = {"Authorization": f"Bearer {credential}"}
        self._json = JsonLine("bank", base_url)
        self._files = FileLine(base_url, self._headers)
        self._timeout = patience(account.timeout_s)
        self._look_up_timeout = patience(LOOK_UP_TIMEOUT_S)

    async def send(self, call: Call, keep: Keep) -> Answer:  # noqa: ARG002 - ids are ours
        """Promise an entry for the next file, take one back, or send an instant credit."""
        request = call.request
        if request is None:
            return Answer(Event.LOSE_TRACK, "the row of this call holds no request")
        match request.kind:
            case Kind.AUTHORIZE if request.method == RTP:
                return self._no(call, "credits_only", "this rail sends money and takes none")
            case Kind.AUTHORIZE if not request.capture:
                return self._no(call, "capture_needed", "a bank debit holds nothing")
            case Kind.CAPTURE:
                return self._no(call, "nothing_held", "a bank debit holds nothing to capture")
            case Kind.VOID:
                return await self._take_back(call)
            case Kind.PAYOUT if request.method == RTP:
                return await self._transfer(call)
        if request.kind is not Kind.REFUND and not is_routable(request.token):
            return self._no(call, "no_bank_token", "the token is no bank token")
        return await self._promise(call)

    async def look_up(self, call: Call) -> Answer:
        """Ask the tables and the bank about an entry, the bank about an instant credit."""
        if _is_transfer(call):
            return await self._ask(call, "GET", f"{_TRANSFERS}/{_id(call)}")
        if call.request is not None and call.request.kind is Kind.VOID:
            return await self._take_back(call)
        entry = await self._found(call)
        if entry is None:
            return Answer(Event.LOSE_TRACK, "no entry was written for it yet")
        return await self._standing(call, entry)

    async def close_door(self, call: Call) -> Answer:
        """See to it that no file and no transfer carries it; the truth where one does."""
        if _is_transfer(call):
            return await self._ask(call, "POST", f"{_TRANSFERS}/{_id(call)}/close")
        if call.request is not None and call.request.kind is Kind.VOID:
            return await self._take_back(call)
        if call.request is not None and call.request.kind is Kind.CAPTURE:
            return await self.send(call, _keep_nothing)
        entry = entry_of(call) or _nameless(call)
        if await self._entry_book().remove(entry) is EntryState.REMOVED:
            return Answer(Event.CLOSE, "no file carries it, and none will")
        return await self.look_up(call)

    def read_notices(self, headers: Mapping[str, str], body: bytes) -> tuple[Notice, ...]:
        """Verify and read one webhook."""
        return read_notices(
            headers, body, account=self._account.merchant_account, secrets=self._secrets,
            now=datetime.now(UTC), codes=self._codes,
        )  # fmt: skip

    async def close(self) -> None:
        """Close the connections."""
        await self._json.close()
        await self._files.close()

    # Of `flows.ach_ports.ClearingBank`.

    @property
    def entries_max(self) -> int:
        """How many entries fill a file; an account without terms never writes one."""
        return self._account.ach.entries_max if self._account.ach else 1

    @property
    def window_s(self) -> int:
        """How long an entry waits for others."""
        return self._account.ach.window_s if self._account.ach else 0

    def write_file(
        self, entries: Sequence[AchEntry], numbers: Numbers
    ) -> tuple[str, bytes, Sequence[str]]:
        """The next file."""
        if self._account.ach is None:
            raise RuntimeError(f"{self._account.account_id} has no terms for files: set `ach`")
        return write_file(
            entries, numbers, self._account.ach, account=self._account.account_id,
            at=datetime.now(UTC),
        )  # fmt: skip

    async def upload(self, file: AchFile) -> Upload:
        """Send a file under its id."""
        return await self._files.upload(file)

    async def find_file(self, file: AchFile) -> Upload:
        """Ask whether the bank has a file."""
        return await self._files.find(file)

    async def list_reports(self, after: int) -> Sequence[ReportHead]:
        """Reports behind a cursor."""
        return await self._files.list_reports(after)

    async def fetch_report(self, head: ReportHead) -> Sequence[Line] | None:
        """The lines of a report."""
        return await self._files.fetch(head)

    def read_returns(self, content: bytes) -> Sequence[Line]:
        """The lines of a file of returns."""
        return reports.read_returns(content)

    def notice_of(self, line: Line, entry: AchEntry | None, *, source: str) -> Notice:
        """What a line says about a call."""
        return reports.notice_of(line, entry, self._codes, source=source)

    async def _promise(self, call: Call) -> Answer:
        wanted = entry_of(call)
        if self._account.ach is None or wanted is None:
            return self._no(call, "no_entry", "this account has no terms for files")
        entry = await self._entry_book().promise(wanted)
        if entry is None:
            return self._no(call, "no_entry", "what it gives back is no entry of ours")
        return await self._standing(call, entry)

    async def _standing(self, call: Call, entry: AchEntry) -> Answer:
        """Where an entry stands. SUCCEED is the bank's settlement, not the end of its return."""
        reference = entry.reference
        match entry.state:
            case EntryState.WAITING:
                return Answer(Event.PEND, "it waits for the next file", reference)
            case EntryState.REMOVED:
                return Answer(Event.CLOSE, "no file carries it, and none will", reference)
            case EntryState.SETTLED:
                return Answer(Event.SUCCEED, "it has settled", reference, call.amount)
        try:
            status, body = await self._files.entry(entry.trace)
        except EXCHANGE_FAILURES as error:
            return Answer(Event.LOSE_TRACK, f"the bank did not answer: {type(error).__name__}")
        facts = body if status == HTTP_OK and isinstance(body, Mapping) else {}
        if facts.get("status") == "settled" or facts.get("has_settled") is True:
            return Answer(Event.SUCCEED, "the clearing house settled it", reference, call.amount)
        if facts.get("status") != "returned" or call.request is None:
            return Answer(Event.PEND, f"it is in file {entry.file_id}", reference)
        code = str(facts.get("return_code") or "")[:3]
        event, decline = self._codes.declines.read(
            operation=call.request.kind.value, code=code, advice=""
        )
        return Answer(event, f"returned {code}", reference, decline=decline)

    async def _take_back(self, call: Call) -> Answer:
        """A void: the entry leaves the queue, or its file has left before."""
        target = await self._entry_book().find(
            merchant=call.merchant, operation=call.request.target if call.request else ""
        )
        if target is None:
            return Answer(Event.LOSE_TRACK, "the entry that it takes back was not written yet")
        if await self._entry_book().remove(target) is EntryState.REMOVED:
            return Answer(Event.SUCCEED, "it was taken back", target.reference, call.amount)
        return self._no(call, "file_has_left", "its file was written: refund it once it settled")

    async def _transfer(self, call: Call) -> Answer:
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            status, body = await self._json.ask(
                "POST", _TRANSFERS, self._timeout, headers=headers,
                body=orjson.dumps(transfer_of(call)),
            )  # fmt: skip
        except EXCHANGE_FAILURES as error:
            return failure_answer("the bank", error)
        if status == HTTP_CREATED:
            return status_answer(call, body, self._codes)
        if status == HTTP_CONFLICT and error_of(body)[0] == "duplicate":  # an earlier try of ours
            return await self._ask(call, "GET", f"{_TRANSFERS}/{_id(call)}")
        return error_answer(status, body, self._codes)

    async def _ask(self, call: Call, method: str, path: str) -> Answer:
        try:
            status, body = await self._json.ask(
                method, path, self._look_up_timeout, headers=self._headers
            )
        except EXCHANGE_FAILURES as error:
            detail = f"the transfer could not be looked up: {type(error).__name__}"
            return Answer(Event.LOSE_TRACK, detail)
        if status != HTTP_OK:
            return Answer(Event.LOSE_TRACK, f"the bank answered the look-up with HTTP {status}")
        return status_answer(call, body, self._codes)

    async def _found(self, call: Call) -> AchEntry | None:
        return await self._entry_book().find(merchant=call.merchant, operation=call.operation)

    def _entry_book(self) -> Entries:
        if self._entries is None:
            raise RuntimeError(f"{self._account.account_id} was opened without its entries")
        return self._entries

    def _no(self, call: Call, code: str, detail: str) -> Answer:
        kind = call.request.kind.value if call.request else ""
        event, decline = self._codes.declines.read(operation=kind, code=code, advice="")
        return Answer(event, detail, decline=decline)


def _is_transfer(call: Call) -> bool:
    request = call.request
    return request is not None and request.kind is Kind.PAYOUT and request.method == RTP


def _id(call: Call) -> str:
    return end_to_end_id(call.downstream_key)


def _nameless(call: Call) -> AchEntry:
    """The tombstone of what this rail never saw: whatever it was, no file carries it."""
    return AchEntry(
        call.merchant, call.operation, call.account, Kind.PAYOUT, "", "", 0, EntryState.REMOVED
    )


async def _keep_nothing(reference: str) -> None:
    """A refused operation has no reference to keep."""
    del reference
