"""J.P. Morgan's DisputeDetails: activity of disputes, one row for each thing that happened."""

import re
from collections.abc import Iterator
from typing import Final

from cashier_common.assets import AmountUnreadableError, from_decimal, is_known
from cashier_common.money import Money
from cashier_gateway.clients.dispute_files.table import FileRefused, Row
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.notice import DisputeNews, DisputeStage, DisputeState, Notice

PREAMBLE: Final = "ProcessingEntityId="
REPORT: Final = "ReportTypeName=DisputeDetails"
_ARN, _ORDER = "Acquirer Reference Number", "Merchant Order Number"
_SEQUENCE, _ACTIVITY = "Dispute Transaction Sequence Number", "Activity Timestamp"
_CATEGORY, _FINANCIAL = "Dispute Category Code", "Financial Non-Financial Code"
_TYPE, _USAGE = "Post Deposit Event Dispute Type Code", "Dispute Usage Code"
_AMOUNT_COLUMN = "Issuer Dispute Presentment Currency Amount"
_CURRENCY, _DUE = "Presentment Currency Code", "Dispute Due Timestamp"
_REASON, _DETAIL = "Payment Brand Dispute Reason Code", "Transaction Detail Identifier"
NEEDED: Final = (
    *(_ARN, _ORDER, _SEQUENCE, _ACTIVITY, _CATEGORY, _FINANCIAL, _TYPE, _USAGE, _AMOUNT_COLUMN),
    *(_CURRENCY, _DUE, _REASON, _DETAIL),
)
# Received from the bank, and returned to the merchant: each asks for an answer. The inventory at
# the beginning and end of a period repeats what earlier rows said.
_HAPPENED: Final = ("RECD", "RTM")
_INVENTORY: Final = ("BEGINV", "ENDINV")
_FIRST, _SECOND = "1", "2"
_OPERATION: Final = re.compile(r"payments/pay_[a-z0-9]{1,64}/operations/[0-9]{1,4}")
# A spreadsheet writes long digits as 2.47E+22: what they were is gone.
_RUINED: Final = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+?[0-9]+")
_ARN_FORM: Final = re.compile(r"[0-9]{23}")
_DIGITS: Final = re.compile(r"[0-9]{1,32}")
_DECIMAL: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,8})?")


def notices(rows: Iterator[Row]) -> Iterator[Notice]:
    """One notice for each thing that happened; rows of the inventory say nothing new."""
    for row in rows:
        category = row.chosen(_CATEGORY, (*_HAPPENED, *_INVENTORY))
        is_inquiry = row.chosen(_TYPE, ("CB", "RR")) == "RR"
        usage = row.chosen(_USAGE, ("", _FIRST, _SECOND))
        gone = row.chosen(_FINANCIAL, ("FIN", "NON")) == "FIN"
        sequence = _identifier(row, _SEQUENCE, _DIGITS, "digits", needed=True)
        arn = _identifier(row, _ARN, _ARN_FORM, "23 digits")
        detail = _identifier(row, _DETAIL, _DIGITS, "digits")
        at, due, order = row.moment(_ACTIVITY), row.moment(_DUE), row.text(_ORDER)
        if at is None:
            raise row.refused(_ACTIVITY, "is empty")
        news = DisputeNews(
            reference=sequence,
            stage=DisputeStage.INQUIRY
            if is_inquiry
            else DisputeStage.SECOND_CHARGEBACK
            if usage == _SECOND
            else DisputeStage.CHARGEBACK,
            state=DisputeState.OPEN,
            amount=_amount(row),
            funds_withdrawn=gone and not is_inquiry,
            reason_code=row.text(_REASON, most=64),
            arn=arn,
            evidence_due_at=due,
        )
        if category in _INVENTORY:
            continue  # it was read, so that a broken row is refused wherever it stands
        yield Notice(
            event_id=f"file/jpm/{sequence}/{category}/{news.stage}/{at:%Y%m%dT%H%M%S}",
            detail=f"J.P. Morgan: {category} in a file of disputes",
            operation=order if _OPERATION.fullmatch(order) else "",
            references=tuple(filter(None, (detail, arn, order))),
            kinds=(Kind.CAPTURE, Kind.AUTHORIZE),
            dispute=news,
            occurred_at=at,
            is_filed=True,
        )


def _identifier(
    row: Row, column: str, form: re.Pattern[str], called: str, *, needed: bool = False
) -> str:
    value = row.some(column) if needed else row.text(column)
    if value and _RUINED.fullmatch(value):
        raise row.refused(column, "was ruined by a spreadsheet: fetch the file anew")
    if value and form.fullmatch(value) is None:
        raise row.refused(column, f"is not {called}")
    return value


def _amount(row: Row) -> Money:
    text, currency = row.some(_AMOUNT_COLUMN), row.some(_CURRENCY)
    if not is_known(currency):
        raise row.refused(_CURRENCY, f"{currency[:8]!r} is no asset that we know")
    if _DECIMAL.fullmatch(text) is None:
        raise row.refused(_AMOUNT_COLUMN, "is no amount like 1.50")
    try:
        return from_decimal(text, currency)
    except AmountUnreadableError:
        raise row.refused(_AMOUNT_COLUMN, f"is finer than {currency} can be") from None


def body(
    lines: Iterator[tuple[int, list[str]]], first: tuple[int, list[str]]
) -> tuple[tuple[int, list[str]], Iterator[tuple[int, list[str]]]]:
    """The header and the lines below it, without preamble and trailer."""
    line, cells = next(lines, first)
    if not cells[0].startswith(PREAMBLE) or REPORT not in (cell.strip() for cell in cells):
        raise FileRefused(f"names no {REPORT}", line=line)
    header = next(lines, None)
    if header is None:
        raise FileRefused("the file ends before its header", line=line)
    return header, _until_trailer(lines)


def _until_trailer(lines: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    for line, cells in lines:
        if cells[0].startswith(PREAMBLE):
            for after, _ in lines:
                raise FileRefused("stands behind the trailer", line=after)
            return
        yield line, cells
