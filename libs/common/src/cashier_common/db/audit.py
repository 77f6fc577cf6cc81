"""The record of a service under one name: writing steps, sealing, reading and verifying them."""

from cashier_common.db.feed import (
    ADVANCE,
    CURSOR,
    READ_MAX,
    AuditBroken,
    CursorAhead,
    SealedStep,
    read_late,
    read_sealed,
)
from cashier_common.db.record import (
    GENESIS,
    LATE_PREFIX,
    SHARD_COUNT,
    STEP,
    AuditTables,
    audit_tables,
    canonical_json,
    chain_hash,
    shard_of,
    step_hash,
    step_params,
)
from cashier_common.db.sealer import PERIOD_S, Sealer
from cashier_common.db.verify import Fault, Finding, Verification, verify

__all__ = [
    "ADVANCE",
    "CURSOR",
    "GENESIS",
    "LATE_PREFIX",
    "PERIOD_S",
    "READ_MAX",
    "SHARD_COUNT",
    "STEP",
    "AuditBroken",
    "AuditTables",
    "CursorAhead",
    "Fault",
    "Finding",
    "SealedStep",
    "Sealer",
    "Verification",
    "audit_tables",
    "canonical_json",
    "chain_hash",
    "read_late",
    "read_sealed",
    "shard_of",
    "step_hash",
    "step_params",
    "verify",
]
