"""The unit of work that flows see: every table of recon, one transaction."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from cashier_common.db.audit import ADVANCE, CURSOR
from cashier_common.db.engine import Database
from cashier_common.db.failures import ConstraintBroken
from cashier_common.db.transaction import UnitOfWork
from cashier_common.errors import RaceLost
from cashier_recon.flows.ports import AlreadyBooked
from cashier_recon.storage.expectations import ExpectationWrites
from cashier_recon.storage.run_items import ItemWrites
from cashier_recon.storage.run_reads import RunReads
from cashier_recon.storage.runs import RunWrites
from cashier_recon.storage.statements import StatementWrites
from cashier_recon.storage.steps import KeyWrites

FEED = "router.payment_events"
BOOKED_ONCE = frozenset({"journals_pkey", "entries_pkey"})


class Unit(KeyWrites, StatementWrites, RunReads, RunWrites, ItemWrites, ExpectationWrites):
    """`async with begin() as unit:`; leaves as one statement where nothing is read."""

    def __init__(self, db: Database) -> None:
        self._tx: UnitOfWork = db.begin()

    async def __aenter__(self) -> Self:
        await self._tx.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._tx.__aexit__(kind, error, trace)
        except ConstraintBroken as broken:
            if broken.constraint in BOOKED_ONCE:
                raise AlreadyBooked from broken
            raise

    async def cursor(self, shard: int) -> int:
        """The position that the books of this shard stand at."""
        row = await self._tx.read_one(CURSOR, source=FEED, shard=shard)
        return row["position"] if row else 0

    def move_cursor(self, shard: int, *, after: int, to: int) -> None:
        """Move the shard's cursor from `after`; RaceLost when it stands elsewhere."""
        self._tx.write(
            ADVANCE,
            refusal=lambda: RaceLost(f"the cursor of shard {shard}"),
            source=FEED,
            shard=shard,
            seen=after,
            position=to,
        )


def unit_factory(db: Database) -> Callable[[], Unit]:
    """What flows call `begin`."""
    return lambda: Unit(db)
