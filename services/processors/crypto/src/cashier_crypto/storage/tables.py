"""The tables of the crypto rail's database, as the migrations make them."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text, text

from cashier_common.db.types import (
    CHAIN_UNITS,
    MINOR_UNITS,
    TIME,
    not_negative,
    one_of,
    service_metadata,
)
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.domain.sighting import Use

metadata: Final = service_metadata()

operations: Final = Table(
    "operations",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("fingerprint", LargeBinary),  # NULL: a tombstone of what was never seen
    Column("transfer", Text),
    Column("fenced", Boolean, nullable=False),
)

addresses: Final = Table(
    "addresses",
    metadata,
    Column("address", Text, primary_key=True),
    Column("pool", Text, nullable=False),
    Column("child", BigInteger, nullable=False),
    Column("merchant", Text),
    Column("transfer", Text),
    Index("addresses_pool_child_key", "pool", "child", unique=True),
    Index("addresses_free_idx", "pool", "child", postgresql_where=text("transfer IS NULL")),
)

transfers: Final = Table(
    "transfers",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Column("token_contract", Text, nullable=False),
    Column("token_decimals", Integer, nullable=False),
    Column("asset", Text, nullable=False),
    Column("amount_minor", MINOR_UNITS, nullable=False),
    Column("address", Text, nullable=False),
    Column("required_confirmations", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("expire_at", TIME, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("tx_hash", Text),
    Column("log_ordinal", Integer),
    Column("outcome", Text),
    one_of("state", State),
    not_negative("amount_minor"),
    Index("transfers_address_key", "address", unique=True),
    Index("transfers_merchant_operation_key", "merchant", "operation", unique=True),
    Index("transfers_by_time_idx", "merchant", "created_at", "name"),
    Index(
        "transfers_moving_idx", "chain", "state",
        postgresql_where=text("state NOT IN ('AWAITED', 'EXPIRED') AND outcome IS NULL"),
    ),
    Index(
        "transfers_open_idx", "chain", "expire_at",
        postgresql_where=text("state IN ('AWAITED', 'ORPHANED')"),
    ),
    Index("transfers_of_log_key", "chain", "tx_hash", "log_ordinal", unique=True),
)  # fmt: skip

sightings: Final = Table(
    "sightings",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("tx_hash", Text, primary_key=True),
    Column("log_ordinal", Integer, primary_key=True, autoincrement=False),
    Column("contract", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("units", CHAIN_UNITS, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", Text, nullable=False),
    Column("in_chain", Boolean, nullable=False),
    Column("use", Text, nullable=False),
    one_of("use", Use),
    not_negative("units"),
    Index("sightings_by_block_idx", "chain", "block_number"),
    Index("sightings_open_idx", "chain", "block_number", postgresql_where=text("use = 'OPEN'")),
)

blocks: Final = Table(
    "blocks",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("parent_hash", Text, nullable=False),
    Column("time", TIME, nullable=False),
)
