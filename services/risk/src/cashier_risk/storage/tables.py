"""The tables of risk; all of them are only ever added to."""

from typing import Final

from sqlalchemy import Boolean, Column, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from cashier_common.db.types import MINOR_UNITS, SHA256, TIME, service_metadata

metadata: Final = service_metadata()

assessments: Final = Table(
    "assessments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("merchant", Text, primary_key=True),
    Column("payment", Text, nullable=False),
    Column("fingerprint", SHA256, nullable=False),
    Column("decision", Text, nullable=False),
    Column("score", Integer, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("strict_accounts_only", Boolean, nullable=False),
    Column("manual_capture_only", Boolean, nullable=False),
    Column("rule_set_version", Text, nullable=False),
    Column("list_version", Text, nullable=False),
    Column("matcher_version", Text, nullable=False),
    Column("features", JSONB, nullable=False),
    Column("feature_hash", SHA256, nullable=False),
    Column("degraded", Boolean, nullable=False),
    # What velocity counts by; the same values stand in `features`.
    Column("instrument", Text),
    Column("customer", Text),
    Column("device", Text),
    Column("create_time", TIME, nullable=False),
    Column("expire_time", TIME, nullable=False),
)
outcomes: Final = Table(
    "outcomes",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("assessment", Text, nullable=False),
    Column("payment", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("series", Text),
    Column("amount_minor", MINOR_UNITS),
    Column("asset", Text),
    Column("code", Text, nullable=False),
    Column("fingerprint", SHA256, nullable=False),
    Column("instrument", Text),
    Column("customer", Text),
    Column("device", Text),
    Column("create_time", TIME, nullable=False),
)
rule_sets: Final = Table(
    "rule_sets",
    metadata,
    Column("version", Text, primary_key=True),
    Column("document", Text, nullable=False),
)
