"""Stripe's balance transactions as a table: CSV, columns by name, amounts in minor units."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from cashier_common import assets
from cashier_recon.domain.statement import (
    INT64_MAX,
    Broken,
    Category,
    Line,
    Parsed,
    Reject,
    RejectedRow,
    numbered,
)

REQUIRED: Final = (
    "id",
    "amount",
    "available_on",
    "created",
    "currency",
    "fee",
    "net",
    "source",
    "type",
)
OPTIONAL: Final = ("description", "payout_id")
ROWS_MAX: Final = 500_000  # what one import holds in memory, about 1 kB a row
FIELD_MAX_CHARS: Final = 8_192
RAW_MAX_CHARS: Final = 2_000  # of a row in the dead-letter table
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
OTHER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

# Every value of `type` in stripe-python 16's _balance_transaction.py; a test compares them.
TYPES: Final[dict[str, Category]] = {
    **dict.fromkeys(("charge", "payment"), Category.CHARGE),
    **dict.fromkeys(("refund", "payment_refund"), Category.REFUND),
    "transfer": Category.PAYOUT,
    **dict.fromkeys(
        (
            "payment_failure_refund",
            "payment_reversal",
            "refund_failure",
            "transfer_cancel",
            "transfer_failure",
            "transfer_refund",
        ),
        Category.REVERSAL,
    ),
    **dict.fromkeys(
        (
            "inbound_transfer",
            "inbound_transfer_reversal",
            "payout",
            "payout_cancel",
            "payout_failure",
            "topup",
            "topup_reversal",
        ),
        Category.BANK,
    ),
    **dict.fromkeys(("stripe_fee", "stripe_fx_fee", "tax_fee"), Category.FEE),
    **dict.fromkeys(
        (
            "payment_network_reserve_hold",
            "payment_network_reserve_release",
            "payout_minimum_balance_hold",
            "payout_minimum_balance_release",
            "reserve_hold",
            "reserve_release",
            "reserve_transaction",
            "reserved_funds",
        ),
        Category.RESERVE,
    ),
    **dict.fromkeys(
        (
            "adjustment",
            "advance",
            "advance_funding",
            "anticipation_repayment",
            "application_fee",
            "application_fee_refund",
            "climate_order_purchase",
            "climate_order_refund",
            "connect_collection_transfer",
            "contribution",
            "fee_credit_funding",
            "issuing_authorization_hold",
            "issuing_authorization_release",
            "issuing_dispute",
            "issuing_dispute_provisional_credit",
            "issuing_dispute_provisional_credit_reversal",
            "issuing_transaction",
            "obligation_outbound",
            "obligation_reversal_inbound",
            "payment_unreconciled",
            "stripe_balance_payment_debit",
            "stripe_balance_payment_debit_reversal",
            "tax_fund",
        ),
        Category.OTHER,
    ),
}
DISPUTE_SOURCES: Final = ("dp_", "du_")

_INTEGER = re.compile(r"[+-]?[0-9]+")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]+")
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?(?:Z|[+-]\d{2}:?\d{2})?"
)


def parse(content: bytes, processor_account: str) -> Parsed:
    """Read a whole file; Broken when it cannot be trusted. A bad row spoils only itself."""
    rows = _rows(content)
    header, place = _header(next(rows, (0, []))[1])
    lines: list[Line] = []
    rejected: list[RejectedRow] = []
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(lines) + len(rejected) == ROWS_MAX:
            raise Broken(f"it has more than {ROWS_MAX} rows: export a shorter period")
        row = _Row(number, cells, place, width=len(header))
        try:
            lines.append(row.line(processor_account))
        except _BadCell as bad:
            rejected.append(row.rejected(bad))
    return Parsed(numbered(lines), tuple(rejected))


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Numbered rows, the header being 1; Broken for what is not CSV in UTF-8."""
    if not content.strip():
        raise Broken("it is empty")
    if content.startswith(OTHER_MARKS):
        raise Broken("its byte-order mark says UTF-16: export it as UTF-8")
    if b"\0" in content:
        raise Broken(f"it has a zero byte at offset {content.index(0)}: it is not a text file")
    try:
        text = content.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise Broken(f"it is not UTF-8 at byte {error.start}: export it as UTF-8") from None
    csv.field_size_limit(FIELD_MAX_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Broken(
                f"row {number} is not CSV ({error}): the file may be cut off or edited"
            ) from None
        yield number, cells


def _header(cells: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    names = [cell.strip() for cell in cells]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise Broken(f"its header names {', '.join(repeated)} more than once")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise Broken(
            f"its header has no column {', '.join(missing)}: it is not an export of balance "
            "transactions, or its columns were renamed"
        )
    return names, {name: names.index(name) for name in (*REQUIRED, *OPTIONAL) if name in names}


class _BadCell(Exception):
    def __init__(self, detail: str, reject: Reject = Reject.LINE_UNPARSEABLE) -> None:
        super().__init__(detail)
        self.reject = reject


class _Row:
    """One row while it is read."""

    def __init__(self, number: int, cells: list[str], place: dict[str, int], *, width: int) -> None:
        self._number = number
        self._cells = cells
        self._place = place
        self._width = width

    def line(self, processor_account: str) -> Line:
        """The row as a line; _BadCell says which cell does not hold."""
        if len(self._cells) != self._width:
            raise _BadCell(f"it has {len(self._cells)} cells and the header has {self._width}")
        external_id = self._identifier("id")
        if not external_id:
            raise _BadCell("id is empty")
        amount, fee, net = (self._integer(name) for name in ("amount", "fee", "net"))
        if amount - fee != net:
            raise _BadCell(f"net is {net}, but amount {amount} less fee {fee} is {amount - fee}")
        source = self._identifier("source")
        kind = self._text("type")
        category = TYPES.get(kind, Category.UNKNOWN)
        if kind == "adjustment" and source.startswith(DISPUTE_SOURCES):
            category = Category.DISPUTE
        return Line(
            line_id="",
            processor_account=processor_account,
            external_id=external_id,
            occurrence=1,
            row=self._number,
            type=kind,
            category=category,
            source=source,
            description=self._text("description"),
            asset=self._asset(),
            amount=amount,
            fee=fee,
            net=net,
            created=self._time("created"),
            available_on=self._time("available_on"),
            payout=self._identifier("payout_id"),
        )

    def rejected(self, bad: _BadCell) -> RejectedRow:
        """The row for the dead-letter table, with its money where that can be read."""
        asset, net = None, None
        if len(self._cells) == self._width:
            try:
                asset, net = self._asset(), self._integer("net")
            except _BadCell:
                asset, net = None, None
        return RejectedRow(
            row=self._number,
            external_id=self._text("id")[:255],
            reject=bad.reject,
            detail=f"row {self._number}: {bad}",
            raw=",".join(self._cells)[:RAW_MAX_CHARS],
            asset=asset,
            net=net,
        )

    def _text(self, name: str) -> str:
        place = self._place.get(name, len(self._cells))
        return self._cells[place].strip() if place < len(self._cells) else ""

    def _identifier(self, name: str) -> str:
        text = self._text(name)
        if _SCIENTIFIC.fullmatch(text):
            raise _BadCell(
                f"{name} is {text}: a spreadsheet turned the identifier into a number, so export "
                "the file again and do not open it in between",
                Reject.IDENTIFIER_CORRUPTED,
            )
        return text

    def _integer(self, name: str) -> int:
        text = self._text(name)
        if not _INTEGER.fullmatch(text):
            how = " (scientific notation)" if _SCIENTIFIC.fullmatch(text) else ""
            raise _BadCell(f"{name} is {text[:64]!r}{how}: it must be a count of minor units")
        if len(text) > len(str(INT64_MAX)) + 1 or abs(int(text)) > INT64_MAX:
            raise _BadCell(f"{name} is {text[:64]}: more than 64 bits hold")
        return int(text)

    def _asset(self) -> str:
        code = self._text("currency").upper()
        if not assets.is_known(code):
            raise _BadCell(f"currency is {self._text('currency')[:16]!r}: no asset has this code")
        return code

    def _time(self, name: str) -> datetime:
        text = self._text(name)
        try:
            moment = datetime.fromisoformat(text if _TIME.fullmatch(text) else "")
        except ValueError:
            raise _BadCell(f"{name} is {text[:40]!r}: it must be YYYY-MM-DD HH:MM:SS") from None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
