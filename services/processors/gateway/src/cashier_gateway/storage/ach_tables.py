"""The tables of the clearing house: entries, files as they were written, how far reports go."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)

from cashier_common.db.types import MINOR_UNITS, SHA256, TIME, one_of
from cashier_gateway.domain.ach import EntryState, FileState
from cashier_gateway.storage.tables import metadata

ach_entries: Final = Table(
    "ach_entries",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("returns", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("amount_minor", MINOR_UNITS, nullable=False),
    Column("state", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    one_of("state", EntryState),
    CheckConstraint("amount_minor > 0 OR state = 'REMOVED'", name="amount_minor_positive"),
    CheckConstraint("state NOT IN ('FILED', 'SETTLED') OR trace <> ''", name="filed_has_trace"),
    Index(
        "ach_entries_waiting_idx", "account", "created_at",
        postgresql_where=text("state = 'WAITING'"),
    ),
    Index(
        "ach_entries_reference_idx", "account", "reference", unique=True,
        postgresql_where=text("reference <> ''"),
    ),
    Index(
        "ach_entries_trace_idx", "account", "trace", unique=True,
        postgresql_where=text("trace <> ''"),
    ),
)  # fmt: skip
# The content holds tokens where a file has account numbers: the bank puts those in.
ach_files: Final = Table(
    "ach_files",
    metadata,
    Column("account", Text, primary_key=True),
    Column("file_id", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("sha256", SHA256, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("lease_until", TIME, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    one_of("state", FileState),
    CheckConstraint("sha256 = sha256(content)", name="content_agrees"),
    Index(
        "ach_files_leaving_idx", "account", "created_at",
        postgresql_where=text("state IN ('WRITTEN', 'SENDING')"),
    ),
)  # fmt: skip
ach_accounts: Final = Table(
    "ach_accounts",
    metadata,
    Column("account", Text, primary_key=True),
    Column("files", BigInteger, nullable=False),
    Column("traces", BigInteger, nullable=False),
    Column("reports_read", BigInteger, nullable=False),
)
