"""What a processor answered, and the outcome that is kept of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cashier_common.money import Money
from cashier_gateway.domain.lifecycle import Event


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a processor said no: its own words, and ours."""

    code: str
    network_advice: str
    meaning: str
    category: str


@dataclass(frozen=True, slots=True)
class Action:
    """What the customer has to do: open `url`, or hand `data` to the SDK named `sdk`.

    With a `code` it is to be scanned or typed, as its `kind` (PIX_QR, VOUCHER) says; `url` is a
    page that shows it. `expire_at` is when it is of no more use, where the processor says so.
    """

    url: str = ""
    sdk: str = ""
    data: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    code: str = ""
    expire_at: datetime | None = None

    def to_json(self, *, secrets: bool) -> dict[str, Any]:
        """What it says, as JSON; a code is no secret: whoever pays it, pays us."""
        row: dict[str, Any] = {
            "url": self.url, "sdk": self.sdk, "data": self.data if secrets else {},
        }  # fmt: skip
        if self.code:
            row |= {"kind": self.kind, "code": self.code}
        if self.expire_at is not None:
            row["expire_at"] = self.expire_at.isoformat()
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Action":
        """The action that `to_json` wrote."""
        at = row.get("expire_at")
        return cls(**{**row, "expire_at": datetime.fromisoformat(at) if at else None})


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the money should settle as, frozen at the answer."""

    fee_schedule_version: str
    expected_fee: Money
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What an adapter saw at its processor; it never guesses. No personal data in `detail`.

    `of_request` marks what is true of this one request alone (not sent, refused unread): it says
    nothing about an earlier request for the same call. `timed_out` marks that no answer came in
    time, for the account's health.
    """

    event: Event
    detail: str
    reference: str = ""
    amount: Money | None = None
    decline: Decline | None = None
    action: Action | None = None
    risk_ppm: int | None = None
    of_request: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last answer about a call, as it is kept and told; the state stands beside it."""

    detail: str
    observed_at: datetime
    amount: Money | None = None
    decline: Decline | None = None
    action: Action | None = None
    settlement: Settlement | None = None
    risk_ppm: int | None = None

    def to_json(self, *, secrets: bool = True) -> dict[str, Any]:
        """The outcome as JSON, what is absent left out; without `secrets` for the audit record."""
        row: dict[str, Any] = {"detail": self.detail, "observed_at": self.observed_at.isoformat()}
        if self.amount is not None:
            row["amount"] = [self.amount.minor, self.amount.asset]
        if self.decline is not None:
            decline = self.decline
            row["decline"] = [
                decline.code, decline.network_advice, decline.meaning, decline.category,
            ]  # fmt: skip
        if self.action is not None:
            row["action"] = self.action.to_json(secrets=secrets)
        if self.settlement is not None:
            due = self.settlement
            fee = due.expected_fee
            row["settlement"] = [
                due.fee_schedule_version, fee.minor, fee.asset, due.due_at.isoformat(),
            ]  # fmt: skip
        if self.risk_ppm is not None:
            row["risk_ppm"] = self.risk_ppm
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Outcome":
        """The outcome that `to_json` wrote."""
        amount, decline = row.get("amount"), row.get("decline")
        action, due = row.get("action"), row.get("settlement")
        return cls(
            detail=row["detail"],
            observed_at=datetime.fromisoformat(row["observed_at"]),
            amount=Money(*amount) if amount else None,
            decline=Decline(*decline) if decline else None,
            action=Action.from_json(action) if action else None,
            settlement=due
            and Settlement(due[0], Money(due[1], due[2]), datetime.fromisoformat(due[3])),
            risk_ppm=row.get("risk_ppm"),
        )
