"""Adyen's Settlement details report: one CSV per batch, major units, debit and credit columns."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from cashier_sandbox.domain.chance import short_id
from cashier_sandbox.domain.currency import in_major
from cashier_sandbox.settlement.batch import Batch, Row

COMPANY = "SandboxCompany"
REFERENCE_CHARS = 16
COLUMNS = (
    "Company Account",
    "Merchant Account",
    "Psp Reference",
    "Merchant Reference",
    "Payment Method",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
    "Exchange Rate",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Commission (NC)",
    "Markup (NC)",
    "Scheme Fees (NC)",
    "Interchange (NC)",
    "Payment Method Variant",
    "Modification Merchant Reference",
    "Batch Number",
    "Reserved4",
    "Reserved5",
    "Reserved6",
    "Reserved7",
    "Reserved8",
    "Reserved9",
    "Reserved10",
)
_JOURNAL: dict[str, str] = {
    "charge": "Settled",
    "payment_failure_refund": "SettledReversed",
    "refund": "Refunded",
    "refund_failure": "RefundedReversed",
    "transfer": "PaidOut",
    "transfer_failure": "PaidOutReversed",
    "payout": "MerchantPayout",
}


def adyen_file_name(batch: Batch) -> str:
    """Return the report's name; batch numbers of a merchant account are consecutive."""
    return f"settlement_detail_report_batch_{batch.number}.csv"


def adyen_settlement_details(batch: Batch) -> bytes:
    """Return the report: the net amounts of a batch and a currency add up to zero."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in batch.rows:
        writer.writerow(_line(batch, row))
    return file.getvalue().encode()


def _line(batch: Batch, row: Row) -> tuple[object, ...]:
    created = datetime.fromisoformat(row.at)
    own = row.charge or row.entry
    paid_out = row.type == "payout"
    modified = not paid_out and row.entry != own
    reference = batch.references.get(row.charge, row.description)
    kind = _journal(row)
    return (
        COMPANY,
        batch.account,
        "" if paid_out else short_id(own, chars=REFERENCE_CHARS),
        "" if paid_out else reference,
        "" if paid_out else "visa",
        f"{created:%Y-%m-%d %H:%M:%S}",
        "UTC",
        kind,
        f"{row.description}, batch {batch.number}"
        if paid_out
        else short_id(row.entry, chars=REFERENCE_CHARS),
        *(("", "", "", "") if paid_out else _gross(row)),
        row.currency,
        *_sides(row.net, row.currency),
        *_fees(row, kind),
        "" if paid_out else "visa",
        row.description if modified else "",
        batch.number,
        *[""] * 7,
    )


def _gross(row: Row) -> tuple[str, str, str, str]:
    """Currency, debit, credit and the exchange rate: the sandbox settles in the payment's own."""
    return (row.currency, *_sides(row.amount, row.currency), "1")


def _journal(row: Row) -> str:
    if row.type == "adjustment":
        return "Chargeback" if row.amount < 0 else "ChargebackReversed"
    return _JOURNAL[row.type]


def _sides(amount: int, currency: str) -> tuple[str, str]:
    shown = in_major(abs(amount), currency)
    return (shown, "") if amount < 0 else ("", shown)


def _fees(row: Row, kind: str) -> tuple[str, str, str, str]:
    """Commission, as in blended pricing; of a chargeback the penalty stands as markup."""
    shown = in_major(row.fee, row.currency) if row.fee else ""
    return ("", shown, "", "") if kind == "Chargeback" else (shown, "", "", "")
