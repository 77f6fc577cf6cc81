"""Real settlement formats by name; an account chooses one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cashier_sandbox.settlement.adyen import adyen_file_name, adyen_settlement_details
from cashier_sandbox.settlement.batch import Batch

# Stripe makes funds available after this many days in most countries.
STRIPE_AVAILABLE_DAYS = 2

STRIPE_COLUMNS = (
    "id",
    "amount",
    "available_on",
    "connected_account_id",
    "created",
    "currency",
    "description",
    "exchange_rate",
    "fee",
    "net",
    "source",
    "status",
    "type",
    "payout_id",
)


def stripe_balance_transactions(batch: Batch) -> bytes:
    """Return Stripe's balance-transaction export: minor units, lower-case currencies, UTC."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(STRIPE_COLUMNS)
    for row in batch.rows:
        created = datetime.fromisoformat(row.at)
        available = (created + timedelta(days=STRIPE_AVAILABLE_DAYS)).date()
        writer.writerow(
            (
                row.id,
                row.amount,
                f"{available} 00:00:00",
                "",
                f"{created:%Y-%m-%d %H:%M:%S}",
                row.currency.lower(),
                row.description,
                "",
                row.fee,
                row.net,
                row.source,
                "available",
                row.type,
                row.payout,
            )
        )
    return file.getvalue().encode()


@dataclass(frozen=True, slots=True)
class Format:
    """How a batch becomes a file."""

    content_type: str
    file_name: Callable[[Batch], str]
    write: Callable[[Batch], bytes]


FORMATS: dict[str, Format] = {
    "stripe_balance_transactions": Format(
        "text/csv", lambda batch: f"{batch.id}.csv", stripe_balance_transactions
    ),
    "adyen_settlement_details": Format("text/csv", adyen_file_name, adyen_settlement_details),
}
