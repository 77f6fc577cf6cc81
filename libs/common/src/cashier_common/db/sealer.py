"""Gives each committed step its position and its place in the hash chain, in order and only once.

Which rows are unsealed is found without a mark on the row, since steps are INSERT-only: rows of
the shard that have no seal, looked for from a watermark on. Why none is missed behind it:

1. `record_time` is the database's clock at the insert; the app role cannot set it.
2. A transaction that inserts ends within 5 s of its begin (`transaction_timeout`, and the client
   gives up earlier), hence within 5 s of `record_time`.
3. A sweep that began at time t, and after which nothing that it saw was left unsealed, saw every
   transaction that had committed by then. What is unsealed later was not committed at t, so its
   `record_time` is above t - 5 s. The next sweep may start at t - 10 s: twice the limit.
4. After a restart nothing is remembered, so the search starts 20 s before the `record_time` of the
   row sealed last. When that row was sealed, rows were taken in the order of `record_time` and the
   last sweep was 2 s ago, so what it passed by is less than 2 + 5 s older.
5. The clock of a new primary may be behind: a watermark that lies in its future is lowered to
   10 s before its now. If it is ahead, old rows have small times: see 3 and 4, which hold by order.

Order: version n+1 of a subject is written by a transaction that read version n committed, so its
`record_time` is later and no sweep sees it without n. Only a clock that steps back could turn two
around, so versions of one subject in a batch are put in order once more.

Looks: probing ten seconds of sealed rows five times a second would cost a sixth of a core at 1000
steps/s. Between sweeps a look therefore starts one second back. It may see version n+1 without an
n that committed late, and leaves it for the sweep: it takes what follows a sealed version alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
from sqlalchemy import text

from cashier_common.db.engine import Database
from cashier_common.db.record import (
    GENESIS,
    LATE_PREFIX,
    SHARD_COUNT,
    TABLES,
    chain_hash,
    step_hash,
)
from cashier_common.db.statement import compiled
from cashier_common.db.types import insert_many

PERIOD_S: Final = 0.2
"""How often a worker looks; a step is sealed well within the 5 s of money-safety §5."""
WATERMARK_S: Final = 10.0
"""Twice the longest write transaction."""
RESTART_WATERMARK_S: Final = 20.0
SWEEP_PERIOD_S: Final = 2.0
"""How long a row that committed late may wait; with 5 s to commit it still is sealed soon."""
LOOK_BACK_S: Final = 1.0
"""Most transactions commit within milliseconds; the others are the sweep's."""
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
            s.after_state, s.payload_hash, s.traceparent, s.record_time,
            s.version = 1 OR EXISTS (
                SELECT FROM seals p WHERE p.merchant = s.merchant AND p.subject = s.subject
                AND p.version = s.version - 1 OFFSET 0) AS follows
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
        "late",
    )
)
_WATERMARK: Final = timedelta(seconds=WATERMARK_S)
_RESTART_WATERMARK: Final = timedelta(seconds=RESTART_WATERMARK_S)
_SWEEP_PERIOD: Final = timedelta(seconds=SWEEP_PERIOD_S)
_LOOK_BACK: Final = timedelta(seconds=LOOK_BACK_S)
_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


@dataclass(slots=True)
class _Known:
    """What this sealer knows of a shard; times are the database's."""

    swept: datetime
    """Whatever is unsealed was not committed then."""
    looked: datetime
    """The same as far as the last look went, which is not far enough to rely on."""


class Sealer:
    """Seals whatever is committed; any number of them may run, on any number of machines.

    A crash loses nothing: seals are written in one transaction per batch, and the next search
    finds what is left.
    """

    def __init__(self, db: Database, *, batch_max: int = BATCH_MAX) -> None:
        self._db = db
        self._batch_max = batch_max
        self._known: dict[int, _Known] = {}
        self._busy = False
        self._behind = False

    async def step(self) -> int:
        """A worker's step: how many rows were sealed if there are more to seal at once, else 0.

        So rows that trickle in are sealed together once a period, not one by one.
        """
        sealed = await self.seal()
        return sealed if self._behind else 0

    async def seal(self) -> int:
        """Seal one batch of each shard that has something; how many rows were sealed."""
        unknown = len(self._known) < SHARD_COUNT
        shards = list(range(SHARD_COUNT)) if self._busy or unknown else await self._pending()
        self._behind = False
        # What was found by the search of all ten seconds may be old, so it needs that search.
        sealed = await self._seal(shards, sweep=not self._busy) if shards else 0
        self._busy = sealed > 0
        return sealed

    async def _pending(self) -> list[int]:
        """The shards that have something unsealed: one statement, no lock, index only."""
        lows = [known.swept - _WATERMARK for known in self._known.values()]
        rows = await self._db.fetch(_PENDING, shards=list(self._known), lows=lows)
        for row in rows:
            if not row["pending"]:
                self._known[row["shard"]] = _Known(row["moment"], row["moment"])
        return [row["shard"] for row in rows if row["pending"]]

    async def _seal(self, shards: Sequence[int], *, sweep: bool) -> int:
        async with self._db.begin() as tx:
            locked = await tx.read(_LOCK, shards=list(shards), lock=LOCK_CLASS)
            mine = [row["shard"] for row in locked]
            if not mine:
                return 0
            # Not in the statement that locks: its snapshot is older than the lock.
            heads = await tx.read(_HEADS, shards=mine)
            sweeps = [sweep or self._is_due(head) for head in heads]
            lows = [self._low(*each) for each in zip(heads, sweeps, strict=True)]
            shards = [head["shard"] for head in heads]
            found = await tx.read(_BATCH, shards=shards, lows=lows, most=self._batch_max)
            batches: dict[int, list[asyncpg.Record]] = defaultdict(list)
            for row in found:
                batches[row["shard"]].append(row)
            columns: dict[str, Any] = {name: [] for name in _SEAL.names}
            for head, whole in zip(heads, sweeps, strict=True):
                rows = in_version_order(batches[head["shard"]])
                _chain(columns, head, rows if whole else following(rows))
            sealed = len(columns["position"])
            if sealed:
                tx.write(_SEAL, expect=sealed, **columns)
        for head, whole in zip(heads, sweeps, strict=True):
            self._remember(head, batches[head["shard"]], sweep=whole)
        return sealed

    def _is_due(self, head: asyncpg.Record) -> bool:
        known = self._known.get(head["shard"])
        return known is None or not timedelta() <= head["moment"] - known.swept < _SWEEP_PERIOD

    def _low(self, head: asyncpg.Record, sweep: bool) -> datetime:  # noqa: FBT001 - one of a pair
        """Where the search of a shard starts; see the proof above."""
        known = self._known.get(head["shard"])
        moment: datetime = head["moment"]
        if known is None:
            sealed: datetime | None = head["record_time"]
            low = _LONG_AGO if sealed is None else sealed - _RESTART_WATERMARK
        elif sweep:
            low = known.swept - _WATERMARK
        else:
            low = max(known.swept - _WATERMARK, known.looked - _LOOK_BACK)
        return min(low, moment - _WATERMARK) if sweep else low

    def _remember(
        self, head: asyncpg.Record, batch: Sequence[asyncpg.Record], *, sweep: bool
    ) -> None:
        """Note from where to search next, now that the batch has been committed."""
        until: datetime = head["moment"]
        if len(batch) == self._batch_max:
            # There may be more, but none of it is older than what was taken.
            until = min(batch[-1]["record_time"], until)
            self._behind = True
        swept = until if sweep else self._known[head["shard"]].swept
        self._known[head["shard"]] = _Known(swept, until)


def following(rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    """Of each subject, the versions that follow a sealed one or the first one, without a gap."""
    last: dict[tuple[str, str], int] = {}
    kept = []
    for row in rows:
        subject = row["merchant"], row["subject"]
        if row["follows"] or last.get(subject) == row["version"] - 1:
            last[subject] = row["version"]
            kept.append(row)
    return kept


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
        columns["late"].append(row["action"].startswith(LATE_PREFIX))
