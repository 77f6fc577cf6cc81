"""How a rail tells what came late: it follows the sealed record while somebody listens."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from cashier_common.db.engine import Database
from cashier_common.db.feed import SealedStep, read_late
from cashier_common.db.verify import Verification, verify

POLL_S: Final = 0.15
"""Listeners hear of a late outcome within this much of its sealing; one index scan each time."""


class Record(Protocol):
    """The sealed record of a service."""

    async def read(self, *, shard: int, after: int) -> list[SealedStep]:
        """The late steps behind a position, oldest first."""


@dataclass(frozen=True)
class SealedRecord:
    """`Record`, and the proof of it, on a service's database."""

    database: Database

    async def read(self, *, shard: int, after: int) -> list[SealedStep]:
        return await read_late(self.database, shard=shard, after=after)

    async def verify(self, shard: int | None, from_position: int) -> Verification:
        """Check one shard (None: all) from a position on."""
        return await verify(self.database, shard=shard, from_position=from_position)


async def late_steps(record: Record, *, shard: int, after: int) -> AsyncIterator[SealedStep]:
    """Every late step of the shard behind `after`, and what comes, until the listener leaves.

    It holds nothing between two reads; a refusal of the record (CursorAhead) ends it.
    """
    while True:
        steps = await record.read(shard=shard, after=after)
        for step in steps:
            yield step
            after = step.position
        if not steps:
            await asyncio.sleep(POLL_S)
