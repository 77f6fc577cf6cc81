"""What became of an assessed payment, as it is reported and as velocity counts it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cashier_common.ids import derived_name
from cashier_common.money import Money
from cashier_risk.domain.facts import canonical
from cashier_risk.domain.velocity import Series

FINGERPRINT_VERSION: Final = "risk.report_outcome.v1"


class Outcome(StrEnum):
    """What became of it."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    RELEASED = "released"
    CHARGEBACK = "chargeback"
    FRAUD_REPORT = "fraud_report"


SERIES: Final[Mapping[Outcome, Series]] = {
    Outcome.DECLINED: Series.DECLINES,
    Outcome.CHARGEBACK: Series.DISPUTES,
    Outcome.FRAUD_REPORT: Series.DISPUTES,
}
"""Which series an outcome counts in; the others count nowhere yet."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a caller reports; `amount` and `code` may be missing."""

    merchant: str
    payment: str
    outcome: Outcome
    amount: Money | None
    code: str

    def fingerprint(self) -> bytes:
        """SHA-256 over everything that was reported."""
        money = [self.amount.minor, self.amount.asset] if self.amount else None
        said = [self.merchant, self.payment, self.outcome.value, money, self.code]
        return hashlib.sha256(canonical([FINGERPRINT_VERSION, said])).digest()


@dataclass(frozen=True, slots=True)
class ReportedOutcome:
    """A report as it was kept: one per idempotency key; `assessment` is what it is about."""

    name: str
    key: str
    assessment: str
    report: Report
    create_time: datetime


def outcome_name(assessment: str, key: str) -> str:
    """`assessments/…/outcomes/out_…`: the same for the same key."""
    return derived_name(f"{assessment}/outcomes", "out", assessment, key)
