"""The append-only record: one row a transition is step, audit record and outbox event at once."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    func,
    insert,
)

from cashier_common.db.statement import compiled
from cashier_common.db.types import service_metadata

SHARD_COUNT: Final = 4
"""Chains per service. Never changed once rows exist: a merchant's shard must stay the same."""
GENESIS: Final = bytes(32)
"""What stands for the chain hash before position 1."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP_DOMAIN: Final = b"cashier step 1"
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class AuditTables:
    """The tables as `create_audit_tables` makes them."""

    steps: Table
    seals: Table
    cursors: Table


def audit_tables(metadata: MetaData) -> AuditTables:
    """Steps and seals are INSERT-only for the app role; cursors are a consumer's bookmarks."""
    clock = func.clock_timestamp()
    steps = Table(
        "steps",
        metadata,
        Column("shard", SmallInteger, nullable=False),
        Column("merchant", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("version", BigInteger, primary_key=True, autoincrement=False),
        Column("actor", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("before_state", Text, nullable=False),
        Column("after_state", Text, nullable=False),
        Column("payload", Text, nullable=False),
        Column("payload_hash", LargeBinary, nullable=False),
        Column("traceparent", Text, nullable=False),
        Column("record_time", DateTime(timezone=True), nullable=False, server_default=clock),
    )
    seals = Table(
        "seals",
        metadata,
        Column("shard", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("merchant", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("step_hash", LargeBinary, nullable=False),
        Column("chain_hash", LargeBinary, nullable=False),
        Column("late", Boolean, nullable=False),
        Column("seal_time", DateTime(timezone=True), nullable=False, server_default=clock),
    )
    cursors = Table(
        "cursors",
        metadata,
        Column("source", Text, primary_key=True),
        Column("shard", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
    )
    return AuditTables(steps, seals, cursors)


TABLES: Final = audit_tables(service_metadata())

LATE_PREFIX: Final = "LATE_"
"""Begins the action of a step that brings an outcome after its caller's answer: `read_late`."""

STEP: Final = compiled(
    insert(TABLES.steps), columns=[c.key for c in TABLES.steps.columns if c.key != "record_time"]
)
"""Collect it beside the write that it tells of: `tx.write(STEP, **step_params(…))`."""


def shard_of(merchant: str) -> int:
    """The chain that a merchant's steps are in, from 0; the same on every machine, for ever."""
    return hashlib.sha256(merchant.encode()).digest()[0] % SHARD_COUNT


def canonical_json(payload: Mapping[str, Any]) -> str:
    """Sorted keys, no spaces, UTF-8; TypeError for a float, which has no place near money."""
    _refuse_floats(payload)
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS).decode()


def step_params(
    *,
    merchant: str,
    subject: str,
    version: int,
    actor: str,
    action: str,
    before_state: str,
    after_state: str,
    payload: Mapping[str, Any],
    traceparent: str,
) -> dict[str, Any]:
    """The parameters of STEP. Versions of a subject count from 1 without gaps.

    Personal data stays out of the payload: a hash of it inside, the value encrypted elsewhere.
    """
    text = canonical_json(payload)
    return {
        "shard": shard_of(merchant),
        "merchant": merchant,
        "subject": subject,
        "version": version,
        "actor": actor,
        "action": action,
        "before_state": before_state,
        "after_state": after_state,
        "payload": text,
        "payload_hash": hashlib.sha256(text.encode()).digest(),
        "traceparent": traceparent,
    }


class Row(Protocol):
    """What has columns by name: a record of asyncpg, a dict."""

    def __getitem__(self, name: str, /) -> Any: ...  # noqa: ANN401 - as many types as columns


def step_hash(row: Row) -> bytes:
    """SHA-256 over every column of a step, each with its length before it.

    The payload is in it by `payload_hash`, so that sealing need not fetch it; `verify` compares
    the two.
    """
    parts = [
        row["merchant"].encode(),
        row["subject"].encode(),
        row["actor"].encode(),
        row["action"].encode(),
        row["before_state"].encode(),
        row["after_state"].encode(),
        row["payload_hash"],
        row["traceparent"].encode(),
    ]
    moment_us = (row["record_time"] - _EPOCH) // _MICROSECOND
    fixed = struct.pack(">qqq", row["shard"], row["version"], moment_us)
    lengths = struct.pack(">8I", *map(len, parts))
    return hashlib.sha256(b"".join((_STEP_DOMAIN, fixed, lengths, *parts))).digest()


def chain_hash(previous: bytes, position: int, step: bytes) -> bytes:
    """SHA-256 over the chain hash before, the position and the hash of the step."""
    return hashlib.sha256(previous + struct.pack(">q", position) + step).digest()


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError(f"a step's payload holds the float {value!r}: say it as int or text")
    if isinstance(value, Mapping):
        for part in value.values():
            _refuse_floats(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _refuse_floats(part)
