"""Money that the payer's bank took back, and what the merchant may do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class DisputeStatus(StrEnum):
    """Where a chargeback stands; the last two are final."""

    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


class DisputeStage(StrEnum):
    """How far it has gone, in this order; before the second nothing has moved."""

    INQUIRY = "inquiry"
    CHARGEBACK = "chargeback"
    SECOND_CHARGEBACK = "second_chargeback"


OPEN = {DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chargeback:
    """What was taken back of a charge, or is asked about; `fee` is the penalty, minor units.

    `moves` counts how often money moved for it, `staged_at` is when its stage began.
    """

    id: str
    charge: str
    amount: int
    fee: int
    currency: str
    reason: str
    reference: str
    created_at: str
    status: DisputeStatus = DisputeStatus.NEEDS_RESPONSE
    evidence: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    submissions: int = 0
    stage: DisputeStage = DisputeStage.CHARGEBACK
    moves: int = 0
    staged_at: str = ""
