"""Idempotency keys: who claimed one first, for which request, and what came of it.

A key is claimed in the transaction that does the work. A concurrent duplicate's claim waits on the
primary key until the first commits (then it finds zero rows and is KeyTaken) or rolls back (then
it is the first). That relies on READ COMMITTED, which every connection of `Database` sets.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import asyncpg
from sqlalchemy import (
    Column,
    DateTime,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from cashier_common.db.statement import compiled
from cashier_common.db.transaction import UnitOfWork
from cashier_common.db.types import service_metadata
from cashier_common.errors import IdempotencyInFlight, IdempotencyKeyReused


def requests_table(metadata: MetaData) -> Table:
    """The table as `create_requests_table` makes it, on a service's MetaData."""
    return Table(
        "requests",
        metadata,
        Column("merchant", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("method", Text, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("resource", Text, nullable=False),
        Column(
            "create_time",
            DateTime(timezone=True),
            nullable=False,
            server_default=func.clock_timestamp(),
        ),
    )


TABLE: Final = requests_table(service_metadata())

CLAIM: Final = compiled(
    insert(TABLE).on_conflict_do_nothing(),
    columns=["merchant", "key", "method", "fingerprint", "resource"],
)
"""Zero rows where the key is taken: collect it with `expect=1`, as `claim` does."""
FIND: Final = compiled(
    select(TABLE).where(TABLE.c.merchant == bindparam("merchant"), TABLE.c.key == bindparam("key"))
)


@dataclass
class KeyTaken(IdempotencyInFlight):
    """Somebody claimed the key first; nothing of this unit happened: look with `find`."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an earlier call with the key asked for and made."""

    method: str
    fingerprint: bytes
    resource: str


def claim(
    tx: UnitOfWork, *, merchant: str, key: str, method: str, fingerprint: bytes, resource: str
) -> None:
    """Collect the claim; collect it first, so that a loser has done nothing when it finds out.

    The unit raises KeyTaken where the key is taken, and all of it is rolled back.
    """
    tx.write(
        CLAIM,
        expect=1,
        refusal=KeyTaken,
        merchant=merchant,
        key=key,
        method=method,
        fingerprint=fingerprint,
        resource=resource,
    )


async def find(
    read: Callable[..., Awaitable[asyncpg.Record | None]],
    *,
    merchant: str,
    key: str,
    fingerprint: bytes,
) -> Claimed | None:
    """What the key made before, or None; `read` is `db.fetch_one` or `tx.read_one`.

    Raises IdempotencyKeyReused where the key belongs to another request.
    """
    row = await read(FIND, merchant=merchant, key=key)
    if row is None:
        return None
    if row["fingerprint"] != fingerprint:
        raise IdempotencyKeyReused(merchant=merchant)
    return Claimed(row["method"], row["fingerprint"], row["resource"])
