"""What the migrations of every service share: the tables of the plumbing and who may do what.

The SQL stands here as text because a migration must do the same for ever: what is below is only
added to by new functions, never changed.
"""

from typing import Final

from alembic import op
from sqlalchemy import text

from cashier_common.db.failures import EXPECTATION_SQLSTATE

OWNER_SUFFIX: Final = "_owner"
APP_SUFFIX: Final = "_app"

EXPECT_ROWS: Final = f"""
CREATE FUNCTION expect_rows(ordinal int, got bigint, want bigint) RETURNS bigint
LANGUAGE plpgsql AS $body$
BEGIN
    IF got IS DISTINCT FROM want THEN
        RAISE EXCEPTION USING
            ERRCODE = '{EXPECTATION_SQLSTATE}',
            MESSAGE = format('write %s touched %s rows and expected %s', ordinal, got, want),
            DETAIL = format('%s %s %s', ordinal, got, want);
    END IF;
    RETURN got;
END
$body$
"""
"""How a unit of work makes one statement fail as a whole when one of its writes missed."""

_STEPS: Final = """
CREATE TABLE steps (
    shard smallint NOT NULL,
    merchant text NOT NULL,
    subject text NOT NULL,
    version bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    before_state text NOT NULL,
    after_state text NOT NULL,
    payload text NOT NULL,
    payload_hash bytea NOT NULL,
    traceparent text NOT NULL,
    record_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT steps_pkey PRIMARY KEY (merchant, subject, version),
    CONSTRAINT steps_version_positive_check CHECK (version > 0),
    CONSTRAINT steps_payload_hash_length_check CHECK (octet_length(payload_hash) = 32)
)
"""
# INCLUDE makes the sealer's search an index-only scan.
_STEPS_INDEX: Final = """
CREATE INDEX steps_shard_record_time_idx ON steps (shard, record_time)
    INCLUDE (merchant, subject, version)
"""
_SEALS: Final = """
CREATE TABLE seals (
    shard smallint NOT NULL,
    position bigint NOT NULL,
    merchant text NOT NULL,
    subject text NOT NULL,
    version bigint NOT NULL,
    step_hash bytea NOT NULL,
    chain_hash bytea NOT NULL,
    late boolean NOT NULL DEFAULT false,
    seal_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT seals_pkey PRIMARY KEY (shard, position),
    CONSTRAINT seals_merchant_subject_version_key UNIQUE (merchant, subject, version),
    CONSTRAINT seals_position_positive_check CHECK (position > 0)
)
"""
# Few steps are late outcomes; consumers that want only those find them here.
_SEALS_LATE_INDEX: Final = """
CREATE INDEX seals_late_idx ON seals (shard, position) WHERE late
"""
_CURSORS: Final = """
CREATE TABLE cursors (
    source text NOT NULL,
    shard smallint NOT NULL,
    position bigint NOT NULL,
    CONSTRAINT cursors_pkey PRIMARY KEY (source, shard)
)
"""
_REQUESTS: Final = """
CREATE TABLE requests (
    merchant text NOT NULL,
    key text NOT NULL,
    method text NOT NULL,
    fingerprint bytea NOT NULL,
    resource text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT requests_pkey PRIMARY KEY (merchant, key)
)
"""
_REQUESTS_INDEX: Final = (
    "CREATE INDEX requests_create_time_idx ON requests USING brin (create_time)"
)
_STEP_COLUMNS: Final = (
    "shard, merchant, subject, version, actor, action, before_state, after_state, payload, "
    "payload_hash, traceparent"
)


def create_expect_rows() -> None:
    """Create the function behind `tx.write(…, expect=…)`; for each service's first migration."""
    op.execute(EXPECT_ROWS)


def grant_app_role() -> None:
    """Let the app role read and write the ordinary tables that are here and that will come.

    The role's name is the owner's with `_app` for `_owner`. Call it before or after
    `create_audit_tables`, which takes its own rights away again.
    """
    app, owner = app_role(), _owner_role()
    everything = "SELECT, INSERT, UPDATE, DELETE"
    op.execute(f'GRANT USAGE ON SCHEMA public TO "{app}"')
    op.execute(f'GRANT {everything} ON ALL TABLES IN SCHEMA public TO "{app}"')
    op.execute(f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "{app}"')
    defaults = f'ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA public GRANT'
    op.execute(f'{defaults} {everything} ON TABLES TO "{app}"')
    op.execute(f'{defaults} USAGE, SELECT ON SEQUENCES TO "{app}"')
    op.execute(f'REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM "{app}"')
    for table in ("steps", "seals"):
        if _exists(table):
            make_append_only(table)
            _keep_the_clock(table)


def create_audit_tables() -> None:
    """Create steps, seals and cursors; the app role may only read and add to the first two."""
    for statement in (_STEPS, _STEPS_INDEX, _SEALS, _SEALS_LATE_INDEX, _CURSORS):
        op.execute(statement)
    for table in ("steps", "seals"):
        make_append_only(table)
        _keep_the_clock(table)
    op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON cursors TO "{app_role()}"')


def create_requests_table() -> None:
    """Create the table of idempotency keys, see `cashier_common.db.requests`."""
    op.execute(_REQUESTS)
    op.execute(_REQUESTS_INDEX)


def make_append_only(table: str) -> None:
    """Leave the app role nothing but SELECT and INSERT on a table."""
    app = app_role()
    op.execute(f'REVOKE ALL ON "{table}" FROM "{app}"')
    op.execute(f'GRANT SELECT, INSERT ON "{table}" TO "{app}"')


def app_role() -> str:
    """The role that the service's processes use, from the name of the one that migrates."""
    owner = _owner_role()
    if not owner.endswith(OWNER_SUFFIX):
        raise ValueError(
            f"the migrating role is {owner}: its name must end in {OWNER_SUFFIX}, "
            f"beside a role that ends in {APP_SUFFIX}"
        )
    return owner.removesuffix(OWNER_SUFFIX) + APP_SUFFIX


def _keep_the_clock(table: str) -> None:
    """The database alone says when a step was recorded: the sealer's watermark relies on it."""
    if table == "steps":
        app = app_role()
        op.execute(f'REVOKE INSERT ON steps FROM "{app}"')
        op.execute(f'GRANT INSERT ({_STEP_COLUMNS}) ON steps TO "{app}"')


def _owner_role() -> str:
    return str(op.get_bind().scalar(text("SELECT current_user")))


def _exists(table: str) -> bool:
    found = op.get_bind().scalar(text("SELECT to_regclass(:name)"), {"name": f"public.{table}"})
    return found is not None
