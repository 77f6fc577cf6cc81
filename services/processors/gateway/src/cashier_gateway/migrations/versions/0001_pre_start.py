"""The gateway's first tables: calls to processors, and the plumbing that every service has."""

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

CALLS = """
CREATE TABLE calls (
    merchant text NOT NULL,
    operation text NOT NULL,
    account text NOT NULL,
    amount_minor bigint NOT NULL,
    asset text NOT NULL,
    downstream_key text NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL,
    lease_epoch bigint NOT NULL,
    lease_until timestamptz NOT NULL,
    fenced boolean NOT NULL,
    fingerprint bytea,
    request jsonb,
    expire_at timestamptz,
    reference text NOT NULL,
    outcome jsonb,
    traceparent text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT calls_pkey PRIMARY KEY (merchant, operation),
    CONSTRAINT calls_state_known_check CHECK (state IN (
        'ABSENT', 'SUBMITTING', 'SUCCEEDED', 'DECLINED_HARD', 'DECLINED_SOFT', 'NOT_SENT',
        'PENDING', 'ACTION_REQUIRED', 'IN_DOUBT', 'NOT_FOUND', 'EXPIRED', 'CONFLICTED')),
    CONSTRAINT calls_amount_minor_not_negative_check CHECK (amount_minor >= 0)
)
"""
CALLS_INDEX = """
CREATE INDEX calls_lapsing_idx ON calls (lease_until) WHERE state = 'SUBMITTING'
"""


def upgrade() -> None:
    """Create everything; a row of a call is never deleted, so the app role may not."""
    op.execute(CALLS)
    op.execute(CALLS_INDEX)
    create_expect_rows()
    create_audit_tables()
    grant_app_role()
    op.execute(f'REVOKE DELETE ON calls FROM "{app_role()}"')
