"""The tables of the gateway's database, as the migrations make them."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB

from cashier_common.db.types import MINOR_UNITS, TIME, not_negative, one_of, service_metadata
from cashier_gateway.domain.lifecycle import State

metadata: Final = service_metadata()

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
    Column("request", JSONB(none_as_null=True)),
    Column("expire_at", TIME),
    Column("reference", Text, nullable=False),
    Column("outcome", JSONB(none_as_null=True)),
    Column("traceparent", Text, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    one_of("state", State),
    not_negative("amount_minor"),
    # The resume worker's search; a row is in it for the few seconds of its call.
    Index("calls_lapsing_idx", "lease_until", postgresql_where=text("state = 'SUBMITTING'")),
)
