"""Outcomes that came after their caller's answer, from the sealed record, in its order."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cashier_common.db.audit import SealedStep
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.outcome import Outcome

# Consumers hear of a late outcome within this much of its sealing; one index scan each time.
POLL_S: Final = 0.15


class Record(Protocol):
    """The sealed record of this service."""

    async def read(self, *, shard: int, after: int) -> list[SealedStep]:
        """The late outcomes behind a position, oldest first."""


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


async def stream_outcomes(record: Record, *, shard: int, after: int) -> AsyncIterator[LateOutcome]:
    """Every late outcome of the shard behind `after`, and what comes, until the caller leaves."""
    while True:
        steps = await record.read(shard=shard, after=after)
        for step in steps:
            yield _late(step, json.loads(step.payload))
            after = step.position
        if not steps:
            await asyncio.sleep(POLL_S)


def _late(step: SealedStep, payload: dict[str, Any]) -> LateOutcome:
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
    )
