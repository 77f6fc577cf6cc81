"""What a processor tells by itself: a webhook's facts, read, verified and free of personal data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Decline


class NoticeFault(StrEnum):
    """Why a body was not taken: who sent it is not proven, or it cannot be read."""

    UNVERIFIED = "UNVERIFIED"
    UNREADABLE = "UNREADABLE"


class NoticeRefused(Exception):
    """A webhook that is not taken. The sentence says why, and never a secret or a signature."""

    def __init__(self, fault: NoticeFault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


class DisputeStage(StrEnum):
    """How far a dispute has gone, in this order."""

    INQUIRY = "INQUIRY"
    CHARGEBACK = "CHARGEBACK"
    SECOND_CHARGEBACK = "SECOND_CHARGEBACK"
    ARBITRATION = "ARBITRATION"


class DisputeState(StrEnum):
    """Where a dispute stands; the later ones come later."""

    OPEN = "OPEN"
    CHALLENGED = "CHALLENGED"
    ACCEPTED = "ACCEPTED"
    WON = "WON"
    LOST = "LOST"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True)
class DisputeNews:
    """A dispute as the processor tells it then; `funds_withdrawn`: the amount is gone from us.

    Without a `stage` only the state is told: stage and money are as they were. `moves` counts how
    often money had moved for it, where the processor says so: it orders news of one second.
    """

    reference: str
    stage: DisputeStage | None
    state: DisputeState
    amount: Money | None
    funds_withdrawn: bool
    reason_code: str = ""
    arn: str = ""
    evidence_due_at: datetime | None = None
    liability_shifted: bool = False
    moves: int = 0
    fee: Money | None = None

    def to_json(self) -> dict[str, Any]:
        """Every fact, for the inbox and for the step that tells it."""
        due = self.evidence_due_at
        return {
            "reference": self.reference,
            "stage": self.stage.value if self.stage else None,
            "state": self.state.value,
            "amount": _pair(self.amount),
            "funds_withdrawn": self.funds_withdrawn,
            "reason_code": self.reason_code,
            "arn": self.arn,
            "evidence_due_at": due.isoformat() if due else None,
            "liability_shifted": self.liability_shifted,
            "moves": self.moves,
            "fee": _pair(self.fee),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "DisputeNews":
        """The news that `to_json` wrote."""
        return cls(
            reference=row["reference"],
            stage=DisputeStage(row["stage"]) if row["stage"] else None,
            state=DisputeState(row["state"]),
            amount=_money(row["amount"]),
            funds_withdrawn=row["funds_withdrawn"],
            reason_code=row["reason_code"],
            arn=row["arn"],
            evidence_due_at=_moment(row["evidence_due_at"]),
            liability_shifted=row["liability_shifted"],
            moves=row["moves"],
            fee=_money(row["fee"]),
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a processor told; without `event` and `dispute` it changes nothing.

    - `event_id` is unique at the processor account: a second one with it is the same news.
    - `operation` is our name where the processor carries it; `references` are the processor's:
      first of the thing itself, then of what it belongs to.
    - `kinds` are the calls that it can be about, the likeliest first. Where none of them is ours,
      `takes_from` are those whose money it took back: a refund that somebody made elsewhere.
    - `amount` is what the processor says was moved; None where it says no comparable amount.
    - `elsewhere`: it came with our signature and is about another account, by its own words.
    - `is_filed` where a file brought it, not a webhook.
    - `reversal_reference` is set where the news, on a call that succeeded, takes money back.
    """

    event_id: str
    detail: str
    operation: str = ""
    references: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    takes_from: tuple[Kind, ...] = ()
    event: Event | None = None
    amount: Money | None = None
    decline: Decline | None = None
    reversal_reference: str = ""
    dispute: DisputeNews | None = None
    occurred_at: datetime | None = None
    is_filed: bool = False
    elsewhere: bool = False

    @property
    def reference(self) -> str:
        """The processor's reference of the thing itself; empty where it gave none."""
        return self.references[0] if self.references else ""

    def to_json(self) -> dict[str, Any]:
        """The facts, for the inbox; what is empty is left out."""
        decline, dispute, at = self.decline, self.dispute, self.occurred_at
        facts = {
            "detail": self.detail,
            "operation": self.operation,
            "references": list(self.references),
            "kinds": [kind.value for kind in self.kinds],
            "takes_from": [kind.value for kind in self.takes_from],
            "event": self.event.value if self.event else None,
            "amount": _pair(self.amount),
            "decline": decline
            and [decline.code, decline.network_advice, decline.meaning, decline.category],
            "reversal_reference": self.reversal_reference,
            "dispute": dispute.to_json() if dispute else None,
            "occurred_at": at.isoformat() if at else None,
            "is_filed": self.is_filed,
            "elsewhere": self.elsewhere,
        }
        return {name: value for name, value in facts.items() if value}

    @classmethod
    def from_json(cls, event_id: str, row: Mapping[str, Any]) -> "Notice":
        """The notice that `to_json` wrote."""
        event, decline, dispute = row.get("event"), row.get("decline"), row.get("dispute")
        return cls(
            event_id=event_id,
            detail=row["detail"],
            operation=row.get("operation", ""),
            references=tuple(row.get("references", ())),
            kinds=tuple(Kind(kind) for kind in row.get("kinds", ())),
            takes_from=tuple(Kind(kind) for kind in row.get("takes_from", ())),
            event=Event(event) if event else None,
            amount=_money(row.get("amount")),
            decline=Decline(*decline) if decline else None,
            reversal_reference=row.get("reversal_reference", ""),
            dispute=DisputeNews.from_json(dispute) if dispute else None,
            occurred_at=_moment(row.get("occurred_at")),
            is_filed=row.get("is_filed", False),
            elsewhere=bool(row.get("elsewhere")),
        )


def _pair(money: Money | None) -> list[int | str] | None:
    return None if money is None else [money.minor, money.asset]


def _money(pair: list[Any] | None) -> Money | None:
    return Money(*pair) if pair else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
