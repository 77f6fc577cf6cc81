"""Issue the file that says what the processor pays out, and for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Protocol

from cashier_sandbox.domain.entry import Draft, Entry, Kind
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.settlement.batch import Batch, Mistakes, TooFewRows, batch_of
from cashier_sandbox.settlement.formats import FORMATS


class Files(Protocol):
    """Where settlement files are kept."""

    def write(self, account: str, name: str, content: bytes) -> None:
        """Put a file, whole or not at all."""


def issue_settlement(
    desk: Desk, mistakes: Mistakes, files: Files, *, seed: int, now: Callable[[], str]
) -> Entry:
    """Cover what moved since the last file.

    A crash before the entry leaves a file that the next settlement, which has the same name,
    replaces.
    """
    book, account = desk.book, desk.account
    movements = book.movements[book.settled_count :]
    if not movements:
        raise Refused(
            Code.NOTHING_TO_SETTLE,
            f"nothing moved at account {account.name} since its last settlement",
        )
    charges = {movement.charge for movement in movements if movement.charge}
    try:
        batch = batch_of(
            movements,
            mistakes,
            account=account.name,
            number=len(book.settlements) + 1,
            references={charge: book.charges[charge].reference for charge in charges},
            seed=seed,
            at=now(),
        )
    except TooFewRows as error:
        raise invalid("anomalies", str(error)) from error
    form = FORMATS[account.settlement_format]
    content = form.write(batch)
    file_name = form.file_name(batch)
    files.write(account.name, file_name, content)
    detail = {
        "format": account.settlement_format,
        "file_name": file_name,
        "sha256": sha256(content).hexdigest(),
        "rows": len(batch.rows),
        "totals": _totals(batch),
        "payouts": batch.payouts,
        "anomalies": [asdict(anomaly) for anomaly in batch.anomalies],
        "movements_to": len(book.movements),
    }
    return desk.ledger.record(
        Draft(account=account.name, kind=Kind.SETTLEMENT, id=batch.id, detail=detail)
    )


def _totals(batch: Batch) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, Any]] = {}
    for row in batch.rows:
        if row.type != "payout":
            sums = totals.setdefault(row.currency, {"gross": 0, "fee": 0, "net": 0})
            sums["gross"] += row.amount
            sums["fee"] += row.fee
            sums["net"] += row.net
    return totals
