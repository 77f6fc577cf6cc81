"""Statements in Stripe's layout, as a processor would write them."""

import csv
import io

HEADER = (
    "id,amount,available_on,created,currency,description,exchange_rate,fee,net,source,status,"
    "type,payout_id"
)
COLUMNS = tuple(HEADER.split(","))


def row(number, amount, *, fee=29, op=1, type="charge", source=None, **cells):  # noqa: A002
    """The line that settles operation `op` of payment `number` as `event_of` books it."""
    values = {
        "id": f"txn_{number}_{op}_{type}",
        "amount": amount,
        "available_on": "2026-01-07 00:00:00",
        "created": "2026-01-05 10:00:00",
        "currency": "eur",
        "description": f"payments/pay_{number:05d}/operations/{op}",
        "fee": fee,
        "net": amount - fee,
        "source": f"ch_{number:05d}_{op}" if source is None else source,
        "status": "available",
        "type": type,
        "payout_id": "",
    }
    return values | cells


def file_of(rows):
    """The rows as a file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()
