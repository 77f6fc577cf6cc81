"""The append-only record of the router, as the flows' ports name it."""

from collections.abc import Sequence

from cashier_common.db.audit import SealedStep, read_sealed
from cashier_common.db.engine import Database
from cashier_common.db.verify import Verification, verify


class StepRecord:
    """See `flows.ports.Record`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sealed(self, shard: int, after: int, limit: int) -> Sequence[SealedStep]:
        """Sealed steps of a shard after a position, in order."""
        return await read_sealed(self._database, shard=shard, after=after, limit=limit)

    async def verify(self, shard: int | None, from_position: int) -> Verification:
        """Check one shard (None: all) from a position on."""
        return await verify(self._database, shard=shard, from_position=from_position)
