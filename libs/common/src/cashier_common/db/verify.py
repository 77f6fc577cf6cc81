"""Proves the record against its seals: a changed, missing, reordered or unsealed row is found.

What it cannot find: an owner who rewrites a whole chain from some position on, or cuts off its
end. For that somebody else must remember a head: consumers keep the chain hash that they read, and
`verify` answers the heads that it saw.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import asyncpg
from sqlalchemy import text

from cashier_common.db.engine import Database
from cashier_common.db.record import GENESIS, LATE_PREFIX, SHARD_COUNT, chain_hash, step_hash
from cashier_common.db.statement import compiled

CHUNK_ROWS: Final = 2_000
"""Rows per statement: tens of milliseconds, so that a check of years disturbs nobody."""
UNSEALED_MAX_S: Final = 5
"""A step that is older than this has its seal (money-safety §5)."""
FINDINGS_MAX: Final = 1_000
"""Enough to see what happened; a rewritten table would fill the memory with its rows."""


class Fault(StrEnum):
    """What is wrong; the names of `cashier.common.v1.AuditFinding.Kind`."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    UNSEALED = "unsealed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault; `position` is 0 for a row that is not sealed."""

    fault: Fault
    shard: int
    position: int
    subject: str
    version: int
    detail: str


@dataclass(slots=True)
class Verification:
    """What was found and what was looked at."""

    findings: list[Finding] = field(default_factory=list)
    checked: int = 0
    heads: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """The last position and chain hash of each shard that has one: remember them elsewhere."""
    complete: bool = True
    """Whether everything was looked at: not after FINDINGS_MAX findings."""


_CHUNK: Final = compiled(
    text("""
    SELECT z.position, z.late, z.merchant AS sealed_merchant, z.subject AS sealed_subject,
        z.version AS sealed_version, z.step_hash, z.chain_hash, s.*,
        (SELECT max(e.position) FROM seals e WHERE e.merchant = z.merchant
            AND e.subject = z.subject AND e.version = z.version - 1 AND e.shard = z.shard)
            AS earlier_position
    FROM seals z LEFT JOIN steps s USING (merchant, subject, version)
    WHERE z.shard = CAST(:shard AS smallint) AND z.position > CAST(:after AS bigint)
    ORDER BY z.position LIMIT CAST(:most AS int)
    """)
)
_SEAL_AT: Final = compiled(
    text("""
    SELECT z.chain_hash, z.seal_time FROM seals z
    WHERE z.shard = CAST(:shard AS smallint) AND z.position = CAST(:at AS bigint)
    """)
)
# Bounded by time so that no statement is long: first the end of a chunk, then what is in it.
_BOUND: Final = compiled(
    text("""
    SELECT max(t.record_time) AS bound, count(*) AS rows FROM (
        SELECT record_time FROM steps
        WHERE shard = CAST(:shard AS smallint) AND record_time > CAST(:low AS timestamptz)
            AND record_time < clock_timestamp() - make_interval(secs => CAST(:age_s AS int))
        ORDER BY record_time LIMIT CAST(:most AS int)) t
    """)
)
_UNSEALED: Final = compiled(
    text("""
    SELECT s.subject, s.version, s.record_time FROM steps s
    WHERE s.shard = CAST(:shard AS smallint) AND s.record_time > CAST(:low AS timestamptz)
        AND s.record_time <= CAST(:bound AS timestamptz)
        AND NOT EXISTS (SELECT FROM seals z WHERE z.merchant = s.merchant
            AND z.subject = s.subject AND z.version = s.version OFFSET 0)
    ORDER BY s.record_time LIMIT CAST(:most AS int)
    """)
)
LATE: Final = timedelta(seconds=10)
"""A row in a range may have been recorded this long before the seal in front of the range."""
_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


async def verify(db: Database, *, shard: int | None = None, from_position: int = 1) -> Verification:
    """Check one shard or all, from a position on, in chunks and outside of any transaction.

    A range is checked against the seal before it. Rows written meanwhile are checked or not.
    """
    result = Verification()
    for number in range(SHARD_COUNT) if shard is None else [shard]:
        async for finding in _faults(db, number, from_position, result):
            if len(result.findings) == FINDINGS_MAX:
                result.complete = False
                return result
            result.findings.append(finding)
    return result


async def _faults(
    db: Database, shard: int, from_position: int, result: Verification
) -> AsyncIterator[Finding]:
    chain, since = GENESIS, _LONG_AGO
    if from_position > 1:
        before = await db.fetch_one(_SEAL_AT, shard=shard, at=from_position - 1)
        if before is None:
            detail = "there is no seal before the range, so the range hangs on nothing"
            yield Finding(Fault.MISSING, shard, from_position - 1, "", 0, detail)
        else:
            chain, since = before["chain_hash"], before["seal_time"] - LATE
    async for finding in _sealed_faults(db, shard, from_position, chain, result):
        yield finding
    async for finding in _unsealed_faults(db, shard, since):
        yield finding


async def _sealed_faults(
    db: Database, shard: int, from_position: int, chain: bytes, result: Verification
) -> AsyncIterator[Finding]:
    position = from_position - 1
    while rows := await db.fetch(_CHUNK, shard=shard, after=position, most=CHUNK_ROWS):
        for row in rows:
            if row["position"] != position + 1:
                last = row["position"] - 1
                detail = f"no seal has the positions {position + 1} to {last}"
                yield Finding(Fault.MISSING, shard, position + 1, "", 0, detail)
                # What hung between is gone, so this link cannot be checked: only its row can.
                chain = b""
            position = row["position"]
            for fault, detail in _row_faults(row, chain, shard):
                subject, version = row["sealed_subject"], row["sealed_version"]
                yield Finding(fault, shard, position, subject, version, detail)
            # Go on from what is stored: one fault is one finding, not one for each row after it.
            chain = row["chain_hash"]
        result.checked += len(rows)
        result.heads[shard] = (position, chain)


def _row_faults(row: asyncpg.Record, chain: bytes, shard: int) -> list[tuple[Fault, str]]:
    faults = []
    if row["payload"] is None:
        faults.append((Fault.MISSING, "the sealed step is gone"))
    else:
        if hashlib.sha256(row["payload"].encode()).digest() != row["payload_hash"]:
            faults.append((Fault.CHANGED, "the payload is not the one that was hashed"))
        if row["shard"] != shard:
            faults.append((Fault.CHANGED, f"the step says shard {row['shard']}"))
        elif step_hash(row) != row["step_hash"]:
            faults.append((Fault.CHANGED, "the step is not the one that was sealed"))
        if row["late"] != row["action"].startswith(LATE_PREFIX):
            faults.append((Fault.CHANGED, "the seal hides whether the step is a late outcome"))
    if chain and chain_hash(chain, row["position"], row["step_hash"]) != row["chain_hash"]:
        faults.append((Fault.REORDERED, "the seal does not follow from the one before it"))
    elif (row["earlier_position"] or 0) > row["position"]:
        where = row["earlier_position"]
        faults.append((Fault.REORDERED, f"the version before it was sealed later, at {where}"))
    return faults


async def _unsealed_faults(db: Database, shard: int, since: datetime) -> AsyncIterator[Finding]:
    low = since
    while True:
        chunk = await db.fetch_one(
            _BOUND, shard=shard, low=low, age_s=UNSEALED_MAX_S, most=CHUNK_ROWS
        )
        if chunk is None or chunk["bound"] is None:
            return
        bound = chunk["bound"]
        rows = await db.fetch(_UNSEALED, shard=shard, low=low, bound=bound, most=FINDINGS_MAX)
        for row in rows:
            detail = f"recorded at {row['record_time'].isoformat()} and not sealed since"
            yield Finding(Fault.UNSEALED, shard, 0, row["subject"], row["version"], detail)
        low = bound
