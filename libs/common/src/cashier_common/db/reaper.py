"""Forgets idempotency keys whose replays nobody has a right to any more, a little at a time."""

from typing import Final

from sqlalchemy import Integer, bindparam, delete, func, select

from cashier_common.db.engine import Database
from cashier_common.db.requests import TABLE
from cashier_common.db.statement import compiled
from cashier_common.settings import KEY_LIFE_MIN_DAYS

PERIOD_S: Final = 60.0
"""Rest of the worker once no full batch is left: keys grow old slowly."""
REAP_BATCH_MAX: Final = 1_000
"""Rows per statement: milliseconds, so that no claim waits long."""

# The database's clock alone decides, as it did when the key was written. Rows that another
# replica is taking are skipped: the next round finds whatever that one leaves behind.
_old: Final = (
    select(TABLE.c.merchant, TABLE.c.key)
    .where(
        TABLE.c.create_time
        < func.clock_timestamp()
        - func.make_interval(0, 0, 0, bindparam("life_days", type_=Integer))
    )
    .limit(REAP_BATCH_MAX)
    .with_for_update(skip_locked=True)
    .cte("old")
)
REAP: Final = compiled(
    delete(TABLE).where(TABLE.c.merchant == _old.c.merchant, TABLE.c.key == _old.c.key)
)
"""Forget up to REAP_BATCH_MAX keys that are older than `life_days`, or none of them."""


class Reaper:
    """A worker's step on one service's table of keys; replicas share the work.

    ValueError where keys would live for less than KEY_LIFE_MIN_DAYS.
    """

    def __init__(self, database: Database, *, key_life_days: int) -> None:
        if key_life_days < KEY_LIFE_MIN_DAYS:
            raise ValueError(
                f"keys would live {key_life_days} days: a replay is answered for at least "
                f"{KEY_LIFE_MIN_DAYS}"
            )
        self._database = database
        self._key_life_days = key_life_days

    async def step(self) -> int:
        """Forget one batch. How many it forgot where more may be left, 0 where it was the last.

        A batch is one statement: a crash forgets all of it or nothing.
        """
        reaped = await self._database.execute(REAP, life_days=self._key_life_days)
        return reaped if reaped == REAP_BATCH_MAX else 0
