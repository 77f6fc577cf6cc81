"""How a consumer reads the record: sealed steps by position, and a cursor that it keeps."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from sqlalchemy import BigInteger, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from cashier_common.db.engine import Database
from cashier_common.db.record import TABLES
from cashier_common.db.statement import compiled
from cashier_common.errors import CursorExpired, Kind, Refusal

READ_MAX: Final = 1_000
"""Steps per `read_sealed`: about a megabyte."""

_steps, _seals, _cursors = TABLES.steps, TABLES.seals, TABLES.cursors

CURSOR: Final = compiled(
    select(_cursors.c.position).where(
        _cursors.c.source == bindparam("source"), _cursors.c.shard == bindparam("shard")
    )
)
"""Where a consumer stands; no row means position 0."""
_advance: Final = insert(_cursors).values(
    source=bindparam("source"), shard=bindparam("shard"), position=bindparam("position")
)
ADVANCE: Final = compiled(
    _advance.on_conflict_do_update(
        index_elements=["source", "shard"],
        set_={"position": _advance.excluded.position},
        where=_cursors.c.position == bindparam("seen", type_=BigInteger()),
    )
)
"""Move a cursor from `seen` to `position`; zero rows where another consumer moved it meanwhile.

Collect it with `expect=1` in the unit that posts what was read."""


@dataclass
class CursorAhead(Refusal):
    """A consumer is ahead of the record: the database went back in time (a restored backup)."""

    kind = Kind.OUT_OF_RANGE
    reason = "CURSOR_EXPIRED"
    text = (
        "position {position} of shard {shard} is ahead of the record, which ends at {head}: "
        "compare both databases with their backups before anything is read again"
    )
    shard: int
    position: int
    head: int


class AuditBroken(Exception):
    """A sealed step is not there: VerifyAuditLog tells which; consumers stop in front of it."""

    def __init__(self, *, shard: int, position: int) -> None:
        super().__init__(f"the sealed step at position {position} of shard {shard} is gone")
        self.shard = shard
        self.position = position


@dataclass(frozen=True, slots=True)
class SealedStep:
    """One row of the record; hashes are 32 bytes, `record_time` is the database's, in UTC."""

    shard: int
    position: int
    merchant: str
    subject: str
    version: int
    actor: str
    action: str
    before_state: str
    after_state: str
    payload: str
    payload_hash: bytes
    traceparent: str
    record_time: datetime
    chain_hash: bytes


_READ: Final = compiled(
    select(
        _seals.c.position,
        _seals.c.chain_hash,
        *_steps.columns,
    )
    .select_from(
        _seals.outerjoin(
            _steps,
            (_seals.c.merchant == _steps.c.merchant)
            & (_seals.c.subject == _steps.c.subject)
            & (_seals.c.version == _steps.c.version),
        )
    )
    .where(_seals.c.shard == bindparam("of_shard"), _seals.c.position > bindparam("after"))
    .order_by(_seals.c.position)
    .limit(bindparam("most"))
)
_LATE: Final = compiled(
    select(_seals.c.position, _seals.c.chain_hash, *_steps.columns)
    .select_from(
        _seals.join(
            _steps,
            (_seals.c.merchant == _steps.c.merchant)
            & (_seals.c.subject == _steps.c.subject)
            & (_seals.c.version == _steps.c.version),
        )
    )
    .where(
        _seals.c.shard == bindparam("of_shard"),
        _seals.c.late,  # the condition of the index `seals_late_idx`
        _seals.c.position > bindparam("after"),
    )
    .order_by(_seals.c.position)
    .limit(bindparam("most"))
)
_HEAD: Final = compiled(
    select(func.coalesce(func.max(_seals.c.position), 0).label("head")).where(
        _seals.c.shard == bindparam("of_shard")
    )
)


async def read_sealed(
    db: Database, *, shard: int, after: int, limit: int = READ_MAX
) -> list[SealedStep]:
    """The steps behind position `after`, oldest first, without a gap; none where it is the last.

    Raises CursorExpired where the next one is no longer kept, CursorAhead where `after` was never
    reached, AuditBroken where a sealed step is gone.
    """
    rows = await db.fetch(_READ, of_shard=shard, after=after, most=min(limit, READ_MAX))
    if not rows:
        await _require_reached(db, shard, after)
        return []
    if rows[0]["position"] != after + 1:
        raise CursorExpired(shard=shard, position=after)
    return [_sealed(row, after + number) for number, row in enumerate(rows, start=1)]


async def read_late(
    db: Database, *, shard: int, after: int, limit: int = READ_MAX
) -> list[SealedStep]:
    """The steps behind position `after` whose action begins with LATE_PREFIX, oldest first.

    Costs what there is of them, however many other steps lie between. Raises CursorAhead where
    `after` was never reached.
    """
    rows = await db.fetch(_LATE, of_shard=shard, after=after, most=min(limit, READ_MAX))
    if not rows:
        await _require_reached(db, shard, after)
    return [_sealed(row, row["position"]) for row in rows]


async def _require_reached(db: Database, shard: int, after: int) -> None:
    head = await db.fetch_one(_HEAD, of_shard=shard)
    if head is not None and head["head"] < after:
        raise CursorAhead(shard, after, head["head"])


def _sealed(row: asyncpg.Record, position: int) -> SealedStep:
    if row["position"] != position or row["version"] is None:
        raise AuditBroken(shard=row["shard"] or 0, position=position)
    return SealedStep(
        shard=row["shard"],
        position=position,
        merchant=row["merchant"],
        subject=row["subject"],
        version=row["version"],
        actor=row["actor"],
        action=row["action"],
        before_state=row["before_state"],
        after_state=row["after_state"],
        payload=row["payload"],
        payload_hash=row["payload_hash"],
        traceparent=row["traceparent"],
        record_time=row["record_time"],
        chain_hash=row["chain_hash"],
    )
