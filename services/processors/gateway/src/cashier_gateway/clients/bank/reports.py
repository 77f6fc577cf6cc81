"""Reports of the bank: settlements as JSON, returns and changes as NACHA files, read to lines."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.domain.ach import AchEntry, EntryState, Line, Told
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice
from cashier_gateway.flows.ach_ports import ReportRefused
from cashier_nacha import FileRefused, Quirk, parse
from cashier_nacha.codes import CHANGE_CODES, RETURN_CODES
from cashier_nacha.records import Change, ContestedReturn, DishonoredReturn, Entry, Return

ASSET: Final = "USD"
# What a return may be about when our tables do not know the entry.
_ANY_KIND: Final = (Kind.AUTHORIZE, Kind.PAYOUT, Kind.REFUND)


def read_settlement(body: object) -> Sequence[Line]:
    """The lines of a settlement; ReportRefused where it is none."""
    rows = body.get("entries") if isinstance(body, Mapping) else None
    if not isinstance(rows, list):
        raise ReportRefused("a settlement must have a list of entries")
    return tuple(_settled(place, row) for place, row in enumerate(rows))


def read_returns(content: bytes) -> Sequence[Line]:
    """The lines of a file of returns. Forward entries are none of its business."""
    try:
        file = parse(content, tolerated={Quirk.BLOCKING})
    except FileRefused as refused:
        raise ReportRefused(str(refused)) from None
    created = file.header.created_on
    at = datetime(created.year, created.month, created.day, tzinfo=UTC) if created else None
    lines = [line for entry in file.entries if (line := _line(entry, at))]
    if not lines:
        raise ReportRefused("no entry of the file is a return or a notification of change")
    return tuple(lines)


def notice_of(line: Line, entry: AchEntry | None, codes: Codes, *, source: str) -> Notice:
    """What a line says of its call: a success, a decline, money taken back, or nothing to do."""
    event_id = f"{source}/{line.own}"
    reference = entry.reference if entry else line.reference or line.trace
    kinds = (entry.kind,) if entry else _ANY_KIND
    at, references = line.at, (reference, *((line.trace,) if line.trace else ()))
    amount = Money(line.amount_minor, ASSET)
    operation = entry.operation if entry else ""
    if line.told is Told.SETTLED:
        return Notice(
            event_id=event_id, detail="the clearing house settled it", operation=operation,
            references=references, kinds=kinds, event=Event.SUCCEED, amount=amount, occurred_at=at,
        )  # fmt: skip
    if line.told is not Told.RETURNED:
        return Notice(
            event_id=event_id, detail=line.detail, operation=operation, references=references,
            occurred_at=at,
        )  # fmt: skip
    event, decline = codes.declines.read(operation=kinds[0].value, code=line.code, advice="")
    settled = entry is not None and entry.state is EntryState.SETTLED
    return Notice(
        event_id=event_id,
        detail=line.detail,
        # What had settled is taken back; before that, it never happened.
        operation=operation,
        references=references,
        kinds=() if settled else kinds,
        takes_from=kinds if settled else (),
        event=event,
        decline=decline,
        amount=amount,
        reversal_reference=reference,
        occurred_at=at,
    )


def _settled(place: int, row: object) -> Line:
    facts: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    reference, trace = facts.get("individual_id"), facts.get("trace")
    amount = facts.get("amount")
    if type(reference) is not str or type(trace) is not str or type(amount) is not int:
        raise ReportRefused(f"entries[{place}] must have individual_id, trace and amount")
    return Line(Told.SETTLED, reference, trace, trace, amount)


def _line(entry: object, at: datetime | None) -> Line | None:
    if not isinstance(entry, Entry):  # international entries are none that we send
        return None
    verdict = entry.verdict
    match verdict:
        case Return():
            meaning = RETURN_CODES[verdict.code].meaning
            told, detail = Told.RETURNED, f"returned {verdict.code}: {meaning}"
        case Change():
            known = CHANGE_CODES[verdict.code]
            # What is right now is an account number or a name: only what it is about is told.
            told, detail = Told.CHANGED, f"notification of change {verdict.code}: {known.meaning}"
        case DishonoredReturn() | ContestedReturn():
            meaning = RETURN_CODES[verdict.code].meaning
            told = Told.DISHONORED
            detail = f"{verdict.code}, about a return of it: {meaning}; an operator books it"
        case _:
            return None
    return Line(
        told=told,
        reference=entry.individual_id,
        trace=verdict.original_trace,
        own=verdict.trace,
        amount_minor=entry.amount,
        code=verdict.code,
        detail=detail,
        at=at,
    )
