"""Stripe's disputes as a table, one row for each as it stood when it was exported."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cashier_common.money import Money
from cashier_gateway.clients.dispute_files.table import FileRefused, Row
from cashier_gateway.clients.stripe.notices import DISPUTE_STATES
from cashier_gateway.clients.stripe.units import AmountNotExpressible, from_stripe
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.notice import DisputeNews, DisputeStage, Notice

NEEDED: Final = (
    *("id", "amount", "charge_id", "created", "currency"),
    *("evidence_details_due_by", "reason", "status"),
)
# Not every export has it; without it a row is found by the webhook that told the dispute before.
INTENT: Final = "payment_intent"
# When the row was true: what copies Stripe's tables writes it.
TOLD_AT: Final = "_fivetran_synced"
_ID: Final = re.compile(r"(?:du|dp)_[A-Za-z0-9]{1,64}")
_CHARGE: Final = re.compile(r"(?:ch|py)_[A-Za-z0-9]{1,64}")
_AMOUNT: Final = re.compile(r"[0-9]{1,12}")
_WITHDRAWN: Final = frozenset({"needs_response", "under_review", "lost"})


def notices(rows: Iterator[Row], told_at: datetime | None) -> Iterator[Notice]:
    """One notice for each row; `told_at` where the file does not say when it was true."""
    for row in rows:
        identifier, status = row.some("id"), row.chosen("status", tuple(DISPUTE_STATES))
        if _ID.fullmatch(identifier) is None:
            raise row.refused("id", "is no dispute of Stripe's (du_… or dp_…)")
        charge = row.some("charge_id")
        if _CHARGE.fullmatch(charge) is None:
            raise row.refused("charge_id", "is no charge of Stripe's (ch_… or py_…)")
        intent = row.text(INTENT) if INTENT in row.cells else ""
        amount, created = _amount(row), row.moment("created")
        if created is None:
            raise row.refused("created", "is empty")
        synced = row.moment(TOLD_AT) if TOLD_AT in row.cells else None
        known_at = synced or told_at
        if known_at is None:
            raise FileRefused(
                f"has no {TOLD_AT}: say when the file was exported with --told-at", line=row.line
            )
        at = max(known_at, created)
        news = DisputeNews(
            reference=identifier,
            stage=DisputeStage.INQUIRY if status.startswith("warning") else DisputeStage.CHARGEBACK,
            state=DISPUTE_STATES[status],
            amount=amount,
            funds_withdrawn=status in _WITHDRAWN,
            reason_code=row.text("reason", most=64),
            evidence_due_at=row.moment("evidence_details_due_by"),
        )
        yield Notice(
            event_id=f"file/stripe/{identifier}/{status}/{amount.minor}/{at:%Y%m%dT%H%M%S}",
            detail=f"Stripe: {status} in a file of disputes",
            references=(intent, charge) if intent else (charge,),
            kinds=(Kind.CAPTURE, Kind.AUTHORIZE),
            dispute=news,
            occurred_at=at,
            is_filed=True,
        )


def _amount(row: Row) -> Money:
    text, currency = row.some("amount"), row.some("currency")
    if _AMOUNT.fullmatch(text) is None:
        raise row.refused("amount", "is no count of minor units")
    try:
        return from_stripe(int(text), currency)
    except AmountNotExpressible as problem:
        raise row.refused("amount", str(problem)) from None
