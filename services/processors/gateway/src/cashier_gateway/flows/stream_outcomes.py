"""Outcomes that came after their caller's answer, from the sealed record, in its order."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cashier_common.db.audit import SealedStep
from cashier_common.db.follow import Record, late_steps
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.notice import DisputeNews
from cashier_gateway.domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class LateOutcome:
    """One late outcome at its sealed position."""

    shard: int
    position: int
    merchant: str
    operation: str
    account: str
    state: State
    reference: str
    outcome: Outcome
    source: str
    traceparent: str
    # What was told beside the outcome: SUCCEEDED, REVERSED or DISPUTED; else the state is told.
    told: str = ""
    reversal_reference: str = ""
    dispute: DisputeNews | None = None
    occurred_at: datetime | None = None


async def stream_outcomes(record: Record, *, shard: int, after: int) -> AsyncIterator[LateOutcome]:
    """Every late outcome of the shard behind `after`, and what comes, until the caller leaves."""
    async for step in late_steps(record, shard=shard, after=after):
        yield _late(step, json.loads(step.payload))


def _late(step: SealedStep, payload: dict[str, Any]) -> LateOutcome:
    dispute = payload.get("dispute")
    return LateOutcome(
        shard=step.shard,
        position=step.position,
        merchant=step.merchant,
        operation=step.subject,
        account=payload["account"],
        state=State(step.after_state),
        reference=payload["reference"],
        outcome=Outcome.from_json(payload["outcome"]),
        source=payload["source"],
        traceparent=step.traceparent,
        told=payload.get("told", ""),
        reversal_reference=payload.get("reversal_reference", ""),
        dispute=DisputeNews.from_json(dispute) if dispute else None,
        occurred_at=datetime.fromisoformat(at) if (at := payload.get("occurred_at")) else None,
    )
