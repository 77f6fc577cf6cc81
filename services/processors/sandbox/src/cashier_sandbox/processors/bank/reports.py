"""`GET /ach/reports`: settlements as JSON, returns and notifications of change as NACHA files."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from aiohttp import web

from cashier_nacha import write
from cashier_nacha.records import (
    Batch,
    BatchHeader,
    Change,
    DishonoredReturn,
    Entry,
    File,
    FileHeader,
    Return,
)
from cashier_nacha.routing import check_digit
from cashier_sandbox.domain.bank import AchEntry, Item, Report, Told
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS, query_of

# The Federal Reserve's own routing number, as the operator that sends the file.
OPERATOR = "061000146"
# What a notification of change says is right; nobody's account.
CORRECTED = {"C01": "1918171614", "C02": "021000021", "C03": "021000021 1918171614"}


async def list_reports(desk: Desk, request: web.Request) -> web.Response:
    """Reports behind `after`, in the order of their numbers."""
    query = query_of(request)
    after = query.number("after", default=0)
    limit = min(query.number("limit", default=PAGE_DEFAULT_ITEMS), PAGE_MAX_ITEMS)
    query.end()
    found = [report for report in desk.book.bank.reports if report.seq > after]
    return answer(
        {
            "object": "list",
            "data": [report_json(report) for report in found[:limit]],
            "has_more": len(found) > limit,
        }
    )


async def get_report(desk: Desk, request: web.Request) -> web.Response:
    """The report's content: the same bytes whenever it is asked for."""
    name = request.match_info["id"]
    report = next((one for one in desk.book.bank.reports if one.id == name), None)
    if report is None:
        raise not_found("report", "of that name")
    if report.type == "settlement":
        return answer(_settlement(desk, report))
    return web.Response(body=return_file(desk, report), content_type="text/plain")


def report_json(report: Report) -> dict[str, Any]:
    """What the list says of a report."""
    return {
        "object": "report",
        "id": report.id,
        "seq": report.seq,
        "type": report.type,
        "items": len(report.items),
        "created_at": report.at,
    }


def _settlement(desk: Desk, report: Report) -> dict[str, Any]:
    entries = [desk.book.bank.entries[item.entry] for item in report.items]
    return report_json(report) | {
        "settled_on": report.at[:10],
        "entries": [
            {"trace": one.trace, "individual_id": one.id, "amount": one.amount, "file": one.file}
            for one in entries
        ],
    }


def return_file(desk: Desk, report: Report) -> bytes:
    """Returns, changes and dishonored returns of a report as a NACHA file."""
    entries = [(item, desk.book.bank.entries[item.entry]) for item in report.items]
    origin = entries[0][1].company["odfi"]
    at = datetime.fromisoformat(report.at)
    header = FileHeader(
        destination=f"{origin}{check_digit(origin)}",
        origin=OPERATOR,
        created_on=at.date(),
        created_at=at.strftime("%H%M"),
        destination_name=desk.account.name[:23].upper(),
        origin_name="SANDBOX CLEARING",
        reference_code=str(report.seq)[-8:],
    )
    batches = tuple(
        Batch(_header(item, entry, number, at.date()), (_entry(item, entry),))
        for number, (item, entry) in enumerate(entries, start=1)
    )
    return write(File(header, batches))


def _header(item: Item, entry: AchEntry, number: int, day: date) -> BatchHeader:
    company = entry.company
    return BatchHeader(
        service_class="200",
        company_name=company["company_name"],
        company_id=company["company_id"],
        entry_class="COR" if item.told is Told.CHANGED else company["entry_class"],
        description=company["description"],
        odfi=entry.routing[:8],
        number=number,
        effective_on=day,
        settlement_day=f"{_day_of_year(day):03d}",
    )


def _entry(item: Item, entry: AchEntry) -> Entry:
    # The receiver of a return is whoever sent the entry: the banks change places.
    odfi = entry.company["odfi"]
    return Entry(
        # 22, 27, 32, 37 … are returned as 21, 26, 31, 36.
        transaction_code=str(int(entry.transaction_code) - 1),
        rdfi=odfi,
        account=entry.account,
        amount=0 if item.told is Told.CHANGED else entry.amount,
        individual_id=entry.id,
        individual_name=entry.individual_name,
        trace=item.trace,
        verdict=_verdict(item, entry),
    )


def _verdict(item: Item, entry: AchEntry) -> Return | Change | DishonoredReturn:
    bank = entry.routing[:8]
    if item.told is Told.CHANGED:
        corrected = CORRECTED.get(item.code, "1918171614")
        return Change(
            code=item.code, original_trace=entry.trace, original_rdfi=bank, corrected=corrected,
            trace=item.trace,
        )  # fmt: skip
    if item.told is Told.DISHONORED:
        return DishonoredReturn(
            code=item.code, original_trace=entry.trace, original_rdfi=bank, trace=item.trace,
            return_trace=entry.return_trace, return_code=entry.code[1:],
        )  # fmt: skip
    return Return(code=item.code, original_trace=entry.trace, original_rdfi=bank, trace=item.trace)


def _day_of_year(day: date) -> int:
    return (day - date(day.year, 1, 1)) // timedelta(days=1) + 1
