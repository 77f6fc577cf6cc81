"""The crypto rail's first tables: deposits, addresses, and the chain as it was read."""

from alembic import op

from cashier_common.db.schema import (
    app_role,
    create_audit_tables,
    create_expect_rows,
    grant_app_role,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPERATIONS = """
CREATE TABLE operations (
    merchant text NOT NULL,
    operation text NOT NULL,
    fingerprint bytea,
    transfer text,
    fenced boolean NOT NULL,
    CONSTRAINT operations_pkey PRIMARY KEY (merchant, operation),
    CONSTRAINT operations_tombstone_check CHECK (transfer IS NOT NULL OR fenced)
)
"""
ADDRESSES = """
CREATE TABLE addresses (
    address text NOT NULL,
    pool text NOT NULL,
    child bigint NOT NULL,
    merchant text,
    transfer text,
    CONSTRAINT addresses_pkey PRIMARY KEY (address),
    CONSTRAINT addresses_canonical_check CHECK (address ~ '^0x[0-9a-f]{40}$'),
    CONSTRAINT addresses_given_out_check CHECK ((merchant IS NULL) = (transfer IS NULL))
)
"""
TRANSFERS = """
CREATE TABLE transfers (
    merchant text NOT NULL,
    name text NOT NULL,
    operation text NOT NULL,
    account text NOT NULL,
    chain text NOT NULL,
    token_contract text NOT NULL,
    token_decimals integer NOT NULL,
    asset text NOT NULL,
    amount_minor bigint NOT NULL,
    address text NOT NULL,
    required_confirmations integer NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL,
    expire_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    traceparent text NOT NULL,
    tx_hash text,
    log_ordinal integer,
    outcome text,
    CONSTRAINT transfers_pkey PRIMARY KEY (merchant, name),
    CONSTRAINT transfers_state_known_check CHECK (state IN (
        'AWAITED', 'SEEN', 'CONFIRMING', 'FINAL', 'CREDITED', 'ORPHANED', 'EXPIRED')),
    CONSTRAINT transfers_amount_minor_not_negative_check CHECK (amount_minor >= 0),
    CONSTRAINT transfers_credited_needs_a_log_check CHECK (
        state IN ('AWAITED', 'EXPIRED') OR (tx_hash IS NOT NULL AND log_ordinal IS NOT NULL))
)
"""
SIGHTINGS = """
CREATE TABLE sightings (
    chain text NOT NULL,
    tx_hash text NOT NULL,
    log_ordinal integer NOT NULL,
    contract text NOT NULL,
    source text NOT NULL,
    address text NOT NULL,
    units numeric(78, 0) NOT NULL,
    block_number bigint NOT NULL,
    block_hash text NOT NULL,
    in_chain boolean NOT NULL,
    use text NOT NULL,
    CONSTRAINT sightings_pkey PRIMARY KEY (chain, tx_hash, log_ordinal),
    CONSTRAINT sightings_use_known_check CHECK (use IN (
        'OPEN', 'BOUND', 'WRONG_TOKEN', 'LATE', 'SURPLUS')),
    CONSTRAINT sightings_units_not_negative_check CHECK (units >= 0)
)
"""
BLOCKS = """
CREATE TABLE blocks (
    chain text NOT NULL,
    number bigint NOT NULL,
    hash text NOT NULL,
    parent_hash text NOT NULL,
    time timestamptz NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (chain, number)
)
"""
INDEXES = (
    "CREATE UNIQUE INDEX addresses_pool_child_key ON addresses (pool, child)",
    "CREATE INDEX addresses_free_idx ON addresses (pool, child) WHERE transfer IS NULL",
    # The database itself refuses to give one address to two deposits.
    "CREATE UNIQUE INDEX transfers_address_key ON transfers (address)",
    "CREATE UNIQUE INDEX transfers_merchant_operation_key ON transfers (merchant, operation)",
    "CREATE INDEX transfers_by_time_idx ON transfers (merchant, created_at, name)",
    """CREATE INDEX transfers_moving_idx ON transfers (chain, state)
        WHERE state NOT IN ('AWAITED', 'EXPIRED') AND outcome IS NULL""",
    """CREATE INDEX transfers_open_idx ON transfers (chain, expire_at)
        WHERE state IN ('AWAITED', 'ORPHANED')""",
    # One log pays one deposit.
    "CREATE UNIQUE INDEX transfers_of_log_key ON transfers (chain, tx_hash, log_ordinal)",
    "CREATE INDEX sightings_by_block_idx ON sightings (chain, block_number)",
    "CREATE INDEX sightings_open_idx ON sightings (chain, block_number) WHERE use = 'OPEN'",
)


def upgrade() -> None:
    """Create everything; what money may hang on is never deleted, so the app role may not."""
    for statement in (OPERATIONS, ADDRESSES, TRANSFERS, SIGHTINGS, BLOCKS, *INDEXES):
        op.execute(statement)
    create_expect_rows()
    create_audit_tables()
    grant_app_role()
    for table in ("operations", "addresses", "transfers", "sightings"):
        op.execute(f'REVOKE DELETE ON {table} FROM "{app_role()}"')
