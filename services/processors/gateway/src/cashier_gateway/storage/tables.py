"""The tables of the gateway's database, as the migrations make them."""

from collections.abc import Callable
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from cashier_common.db.types import MINOR_UNITS, TIME, not_negative, one_of, service_metadata
from cashier_gateway.domain.account import AccountState
from cashier_gateway.domain.lifecycle import State

metadata: Final = service_metadata()


class JsonText(JSONB):
    """jsonb that orjson writes: it is on the hot path. None is NULL; asyncpg answers text."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:  # noqa: ARG002
        return lambda value: None if value is None else orjson.dumps(value).decode()


calls: Final = Table(
    "calls",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("amount_minor", MINOR_UNITS, nullable=False),
    Column("asset", Text, nullable=False),
    Column("downstream_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("lease_until", TIME, nullable=False),
    Column("fenced", Boolean, nullable=False),
    Column("fingerprint", LargeBinary),
    Column("request", JsonText()),
    Column("expire_at", TIME),
    Column("reference", Text, nullable=False),
    Column("outcome", JsonText()),
    Column("traceparent", Text, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    # Who pays, sealed; gone as soon as the outcome is known.
    Column("payer", LargeBinary),
    one_of("state", State),
    not_negative("amount_minor"),
    Index("calls_payer_idx", "created_at", postgresql_where=text("payer IS NOT NULL")),
    # The resume worker's search; a row is in it for the few seconds of its call.
    Index("calls_lapsing_idx", "lease_until", postgresql_where=text("state = 'SUBMITTING'")),
    # How a webhook finds the call that it is about.
    Index("calls_operation_idx", "operation"),
    Index(
        "calls_account_reference_idx", "account", "reference",
        postgresql_where=text("reference <> ''"),
    ),
    Index(
        "calls_acting_on_idx", "account", text("(request->>'authorization_reference')"),
        postgresql_where=text("(request->>'authorization_reference') IS NOT NULL"),
    ),
)  # fmt: skip

inbox: Final = Table(
    "inbox",
    metadata,
    Column("account", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    # Gone once its facts were reaped: the rest tells a second letter like it.
    Column("notice", JsonText()),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("next_at", TIME, nullable=False),
    Column("result", Text, nullable=False, server_default=text("''")),
    Column("received_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    Column("settled_at", TIME),
    CheckConstraint("state IN ('WAITING', 'DONE', 'DEAD')", name="state_known"),
    CheckConstraint("octet_length(body_hash) = 32", name="body_hash_length"),
    Index("inbox_due_idx", "next_at", postgresql_where=text("state = 'WAITING'")),
    CheckConstraint("notice IS NOT NULL OR state = 'DONE'", name="facts_wait"),
    Index("inbox_dead_idx", "received_at", postgresql_where=text("state = 'DEAD'")),
    # For the people's list, newest first, and for those who ask about one operation.
    Index("inbox_received_idx", "received_at", "account", "event_id"),
    Index(
        "inbox_operation_idx", text("(notice->>'operation')"),
        postgresql_where=text("(notice->>'operation') IS NOT NULL"),
    ),
    # The keeper's two searches; a settled letter is in one of them.
    Index(
        "inbox_settled_idx", "settled_at",
        postgresql_where=text("state = 'DONE' AND notice IS NOT NULL"),
    ),
    Index("inbox_bare_idx", "settled_at", postgresql_where=text("notice IS NULL")),
)  # fmt: skip
# What a processor told of a call beside its outcome: one row for each thing, as it is known now.
notes: Final = Table(
    "notes",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("facts", JsonText(), nullable=False),
    Column("occurred_at", TIME),
    CheckConstraint("kind IN ('SUCCEEDED', 'REVERSED', 'DISPUTED')", name="kind_known"),
    Index("notes_disputed_idx", "reference", postgresql_where=text("kind = 'DISPUTED'")),
)
# Its document holds references to credentials, never one itself; its earlier versions are steps.
processor_accounts: Final = Table(
    "processor_accounts",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("document", JsonText(), nullable=False),
    Column("updated_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    Column("updated_by", Text, nullable=False),
    one_of("state", AccountState),
    CheckConstraint("version >= 1", name="version_counts"),
    CheckConstraint(
        "document->>'account_id' = account_id AND document->>'state' = state",
        name="document_agrees",
    ),
)
