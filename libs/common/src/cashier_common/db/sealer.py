"""Gives each committed step its position and its place in the hash chain, in order and only once.

Which rows are unsealed is found without a mark on the row, since steps are INSERT-only: rows of
the shard that have no seal, looked for from a watermark on. Why none is missed behind it:

1. `record_time` is the database's clock at the insert; the app role cannot set it.
2. A transaction that inserts ends within 5 s of its begin (`transaction_timeout`, and the client
   gives up earlier), hence within 5 s of `record_time`.
3. A search that began at time t, and after which nothing that it saw was left unsealed, saw every
   transaction that had committed by then. What is unsealed later was not committed at t, so its
   `record_time` is above t - 5 s. The next search may start at t - 10 s: twice the limit.
4. After a restart nothing is remembered, so the search starts 10 s before the `record_time` of the
   row sealed last. When that row was sealed, rows were taken in the order of `record_time`, so
   every row committed then with an older `record_time` was sealed before it; and what was not
   committed then is, as in 3, less than 5 s older.
5. The clock of a new primary may be behind: a watermark that lies in its future is lowered to
   10 s before its now. If it is ahead, old rows have small times: see 3 and 4, which hold by order.

Order: version n+1 of a subject is written by a transaction that read version n committed, so its
`record_time` is later and no search sees it without n. Only a clock that steps back could turn two
around, so versions of one subject in a batch are put in order once more.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
from sqlalchemy import text

from cashier_common.db.engine import Database
from cashier_common.db.record import GENESIS, SHARD_COUNT, TABLES, chain_hash, step_hash
from cashier_common.db.statement import compiled
from cashier_common.db.types import insert_many

PERIOD_S: Final = 0.2
"""How often a worker looks; a step is sealed well within the 5 s of money-safety §5."""
WATERMARK_S: Final = 10.0
"""Twice the longest write transaction."""
BATCH_MAX: Final = 1_000
"""Rows per shard and transaction: some 30 ms, far below the transaction limit."""
LOCK_CLASS: Final = 0x5EA1
"""First half of the advisory lock; the shard is the second."""

_UNSEALED: Final = """
    s.shard = x.shard AND s.record_time >= x.low AND NOT EXISTS (
        SELECT FROM seals z
        WHERE z.merchant = s.merchant AND z.subject = s.subject AND z.version = s.version
        OFFSET 0)
"""
# OFFSET 0 keeps the probe of one index entry per row: PostgreSQL might otherwise hash all of seals.
_PENDING: Final = compiled(
    text(f"""
    SELECT x.shard, statement_timestamp() AS moment, EXISTS (
        SELECT FROM steps s WHERE {_UNSEALED}) AS pending
    FROM unnest(CAST(:shards AS smallint[]), CAST(:lows AS timestamptz[])) AS x(shard, low)
    """)  # noqa: S608 - made of constants alone
)
_LOCK: Final = compiled(
    text("""
    SELECT shard, statement_timestamp() AS moment
    FROM unnest(CAST(:shards AS smallint[])) AS shard
    WHERE pg_try_advisory_xact_lock(CAST(:lock AS int), shard)
    """)
)
_HEADS: Final = compiled(
    text("""
    SELECT x.shard, h.position, h.chain_hash, h.record_time, statement_timestamp() AS moment
    FROM unnest(CAST(:shards AS smallint[])) AS x(shard)
    LEFT JOIN LATERAL (
        SELECT z.position, z.chain_hash, s.record_time
        FROM seals z LEFT JOIN steps s USING (merchant, subject, version)
        WHERE z.shard = x.shard ORDER BY z.position DESC LIMIT 1) h ON true
    """)
)
_BATCH: Final = compiled(
    text(f"""
    SELECT s.* FROM
    unnest(CAST(:shards AS smallint[]), CAST(:lows AS timestamptz[])) AS x(shard, low)
    CROSS JOIN LATERAL (
        SELECT s.shard, s.merchant, s.subject, s.version, s.actor, s.action, s.before_state,
            s.after_state, s.payload_hash, s.traceparent, s.record_time
        FROM steps s WHERE {_UNSEALED}
        ORDER BY s.record_time LIMIT CAST(:most AS int)) s
    """)  # noqa: S608 - made of constants alone
)
_SEAL: Final = compiled(
    insert_many(
        TABLES.seals,
        "shard",
        "position",
        "merchant",
        "subject",
        "version",
        "step_hash",
        "chain_hash",
    )
)
_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


class Sealer:
    """Seals whatever is committed; any number of them may run, on any number of machines.

    `step` is a worker's: it answers how many rows were sealed. A crash loses nothing: seals are
    written in one transaction per batch, and the next search finds what is left.
    """

    def __init__(self, db: Database, *, batch_max: int = BATCH_MAX) -> None:
        self._db = db
        self._batch_max = batch_max
        self._lows: dict[int, datetime] = {}
        self._busy = False

    async def step(self) -> int:
        """Seal one batch of each shard that has something; 0 where there is nothing to do."""
        unknown = len(self._lows) < SHARD_COUNT
        shards = list(range(SHARD_COUNT)) if self._busy or unknown else await self._pending()
        sealed = await self._seal(shards) if shards else 0
        self._busy = sealed > 0
        return sealed

    async def _pending(self) -> list[int]:
        """The shards that have something unsealed: one statement, no lock, index only."""
        rows = await self._db.fetch(_PENDING, shards=list(self._lows), lows=[*self._lows.values()])
        for row in rows:
            if not row["pending"]:
                self._raise_low(row["shard"], row["moment"])
        return [row["shard"] for row in rows if row["pending"]]

    async def _seal(self, shards: Sequence[int]) -> int:
        async with self._db.begin() as tx:
            locked = await tx.read(_LOCK, shards=list(shards), lock=LOCK_CLASS)
            mine = [row["shard"] for row in locked]
            if not mine:
                return 0
            # Not in the statement that locks: its snapshot is older than the lock.
            heads = await tx.read(_HEADS, shards=mine)
            lows = [self._low(row) for row in heads]
            found = await tx.read(
                _BATCH, shards=[row["shard"] for row in heads], lows=lows, most=self._batch_max
            )
            by_shard: dict[int, list[asyncpg.Record]] = defaultdict(list)
            for row in found:
                by_shard[row["shard"]].append(row)
            columns: dict[str, Any] = {name: [] for name in _SEAL.names}
            for head in heads:
                _chain(columns, head, in_version_order(by_shard[head["shard"]]))
            if found:
                tx.write(_SEAL, expect=len(found), **columns)
        for head in heads:
            self._note(head, by_shard[head["shard"]])
        return len(found)

    def _note(self, head: asyncpg.Record, batch: Sequence[asyncpg.Record]) -> None:
        """Remember from where to search next, now that the batch has been committed."""
        if len(batch) < self._batch_max:
            self._raise_low(head["shard"], head["moment"])
        else:  # there may be more, but none of it is older than what was taken
            self._raise_low(head["shard"], min(batch[-1]["record_time"], head["moment"]))

    def _low(self, head: asyncpg.Record) -> datetime:
        """Where the search of a shard starts; see the proof above."""
        low = self._lows.get(head["shard"])
        if low is None:
            sealed: datetime | None = head["record_time"]
            low = _LONG_AGO if sealed is None else sealed - timedelta(seconds=WATERMARK_S)
        moment: datetime = head["moment"]
        return min(low, moment - timedelta(seconds=WATERMARK_S))

    def _raise_low(self, shard: int, moment: datetime) -> None:
        self._lows[shard] = moment - timedelta(seconds=WATERMARK_S)


def in_version_order(rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    """The rows by `record_time`, but the versions of each subject in their own order."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row["merchant"], row["subject"]].append(place)
    ordered = list(rows)
    for taken in places.values():
        if len(taken) > 1:
            versions = sorted((rows[place] for place in taken), key=lambda row: row["version"])
            for place, row in zip(taken, versions, strict=True):
                ordered[place] = row
    return ordered


def _chain(columns: dict[str, Any], head: asyncpg.Record, rows: Sequence[asyncpg.Record]) -> None:
    position, chain = head["position"] or 0, head["chain_hash"] or GENESIS
    for row in rows:
        position += 1
        step = step_hash(row)
        chain = chain_hash(chain, position, step)
        for name in ("shard", "merchant", "subject", "version"):
            columns[name].append(row[name])
        columns["position"].append(position)
        columns["step_hash"].append(step)
        columns["chain_hash"].append(chain)
