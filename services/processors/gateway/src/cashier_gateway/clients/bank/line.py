"""Files to the bank and reports from it, over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from cashier_gateway.clients.bank.reports import read_returns, read_settlement
from cashier_gateway.clients.bank.wire import (
    HTTP_CREATED,
    HTTP_NOT_FOUND,
    HTTP_OK,
    error_of,
)
from cashier_gateway.clients.failures import EXCHANGE_FAILURES, is_unsent, patience
from cashier_gateway.clients.json_line import JsonLine
from cashier_gateway.domain.account import TIMEOUT_MAX_S
from cashier_gateway.domain.ach import AchFile, Line
from cashier_gateway.flows.ach_ports import ReportHead, ReportRefused, Upload

REPORTS_MAX: Final = 100
# A refusal that speaks of the file itself: it will never be taken.
_REFUSED: Final = frozenset({"invalid_request", "body_too_large", "idempotency_mismatch"})
_SETTLEMENT: Final = "settlement"


class FileLine:
    """What a bank offers for files. Nothing here repeats a request by itself."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        # Returns are no JSON: their bytes are kept as they came.
        self._line = JsonLine("bank", base_url, parse=lambda raw: raw)
        self._headers = headers
        self._patience = patience(TIMEOUT_MAX_S)

    async def upload(self, file: AchFile) -> Upload:
        """Send the file under its id, by POST, which no HTTP library repeats."""
        headers = {**self._headers, "Content-Type": "text/plain"}
        try:
            status, body = await self._line.ask(
                "POST", f"/ach/files/{file.file_id}", self._patience, headers=headers,
                body=file.content,
            )  # fmt: skip
        except EXCHANGE_FAILURES as error:
            return Upload.UNSENT if is_unsent(error) else Upload.UNKNOWN
        if status == HTTP_CREATED:
            return Upload.ACCEPTED
        code, is_harmless = error_of(_json(body))
        if code == "duplicate":
            return await self.find(file)
        if code in _REFUSED and is_harmless:
            return Upload.REFUSED
        return Upload.UNSENT if is_harmless else Upload.UNKNOWN

    async def find(self, file: AchFile) -> Upload:
        """Ask whether the bank has this id with this content."""
        try:
            status, body = await self._line.ask(
                "GET", f"/ach/files/{file.file_id}", self._patience, headers=self._headers
            )
        except EXCHANGE_FAILURES:
            return Upload.UNKNOWN
        found = _json(body)
        if status == HTTP_OK and isinstance(found, Mapping):
            same = found.get("sha256") == file.sha256.hex()
            return Upload.ACCEPTED if same else Upload.REFUSED
        if status == HTTP_NOT_FOUND and error_of(found)[0] == "not_found":
            return Upload.ABSENT
        return Upload.UNKNOWN

    async def entry(self, trace: str) -> tuple[int, object]:
        """Status and body of what the bank says of an entry; EXCHANGE_FAILURES as they come."""
        status, body = await self._line.ask(
            "GET", f"/ach/entries/{trace}", self._patience, headers=self._headers
        )
        return status, _json(body)

    async def list_reports(self, after: int) -> Sequence[ReportHead]:
        """Reports behind a cursor; none where the bank cannot be asked now."""
        path = f"/ach/reports?after={after}&limit={REPORTS_MAX}"
        try:
            status, body = await self._line.ask("GET", path, self._patience, headers=self._headers)
        except EXCHANGE_FAILURES:
            return ()
        page = _json(body)
        rows = page.get("data") if isinstance(page, Mapping) else None
        if status != HTTP_OK or not isinstance(rows, list):
            return ()
        heads = [_head(row) for row in rows]
        return tuple(head for head in heads if head is not None)

    async def fetch(self, head: ReportHead) -> Sequence[Line] | None:
        """The lines of a report; None where it cannot be had now."""
        try:
            status, body = await self._line.ask(
                "GET", f"/ach/reports/{head.report_id}", self._patience, headers=self._headers
            )
        except EXCHANGE_FAILURES:
            return None
        if status != HTTP_OK or not isinstance(body, bytes):
            return None
        if head.type == _SETTLEMENT:
            return read_settlement(_json(body))
        return read_returns(body)

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()


def _head(row: object) -> ReportHead | None:
    facts = row if isinstance(row, Mapping) else {}
    seq, name, kind = facts.get("seq"), facts.get("id"), facts.get("type")
    if type(seq) is not int or type(name) is not str or type(kind) is not str:
        raise ReportRefused("a report in the list has no seq, id or type")
    return ReportHead(seq, name, kind)


def _json(body: object) -> object:
    try:
        return orjson.loads(body) if isinstance(body, bytes) else None
    except orjson.JSONDecodeError:
        return None
