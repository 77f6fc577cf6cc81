"""What this rail says about an operation, as it is kept and told."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from cashier_common.money import Money


class Verdict(StrEnum):
    """The states of `cashier.gateway.v1.Outcome` that a chain can bring about."""

    SUCCEEDED = "SUCCEEDED"
    NOT_SENT = "NOT_SENT"
    PENDING = "PENDING"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    IN_DOUBT = "IN_DOUBT"
    NOT_FOUND = "NOT_FOUND"
    EXPIRED = "EXPIRED"
    CONFLICTED = "CONFLICTED"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the money should settle as, frozen when it is credited."""

    fee_schedule_version: str
    expected_fee: Money
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer about one operation; `amount` is what was observed, None when nothing was."""

    verdict: Verdict
    detail: str
    observed_at: datetime
    amount: Money | None = None
    settlement: Settlement | None = None

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON, what is absent left out; it holds no personal data."""
        row: dict[str, Any] = {
            "verdict": self.verdict.value,
            "detail": self.detail,
            "observed_at": self.observed_at.isoformat(),
        }
        if self.amount is not None:
            row["amount"] = [str(self.amount.minor), self.amount.asset]
        if self.settlement is not None:
            due = self.settlement
            fee = due.expected_fee
            row["settlement"] = [
                due.fee_schedule_version, fee.minor, fee.asset, due.due_at.isoformat(),
            ]  # fmt: skip
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Self:
        """The outcome that `to_json` wrote."""
        amount, due = row.get("amount"), row.get("settlement")
        return cls(
            verdict=Verdict(row["verdict"]),
            detail=row["detail"],
            observed_at=datetime.fromisoformat(row["observed_at"]),
            amount=Money(int(amount[0]), amount[1]) if amount else None,
            settlement=Settlement(due[0], Money(due[1], due[2]), datetime.fromisoformat(due[3]))
            if due
            else None,
        )
