"""Assessments, outcomes and the rule sets that made them, beside the tables of the plumbing."""

from alembic import op

from cashier_common.db.schema import (
    create_audit_tables,
    create_expect_rows,
    grant_app_role,
    make_append_only,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ASSESSMENTS = """
CREATE TABLE assessments (
    name text NOT NULL,
    merchant text NOT NULL,
    payment text NOT NULL,
    fingerprint bytea NOT NULL,
    decision text NOT NULL,
    score integer NOT NULL,
    reasons jsonb NOT NULL,
    strict_accounts_only boolean NOT NULL,
    manual_capture_only boolean NOT NULL,
    rule_set_version text NOT NULL,
    list_version text NOT NULL,
    matcher_version text NOT NULL,
    features jsonb NOT NULL,
    feature_hash bytea NOT NULL,
    degraded boolean NOT NULL,
    instrument text,
    customer text,
    device text,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    CONSTRAINT assessments_pkey PRIMARY KEY (name, merchant),
    CONSTRAINT assessments_decision_known_check
        CHECK (decision IN ('FRICTIONLESS', 'STEP_UP', 'REVIEW', 'DECLINE')),
    CONSTRAINT assessments_score_in_range_check CHECK (score BETWEEN 0 AND 1000),
    CONSTRAINT assessments_fingerprint_length_check CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT assessments_feature_hash_length_check CHECK (octet_length(feature_hash) = 32)
)
"""
OUTCOMES = """
CREATE TABLE outcomes (
    merchant text NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    assessment text NOT NULL,
    payment text NOT NULL,
    outcome text NOT NULL,
    series text,
    amount_minor bigint,
    asset text,
    code text NOT NULL,
    fingerprint bytea NOT NULL,
    instrument text,
    customer text,
    device text,
    create_time timestamptz NOT NULL,
    CONSTRAINT outcomes_pkey PRIMARY KEY (merchant, key),
    CONSTRAINT outcomes_outcome_known_check
        CHECK (outcome IN ('succeeded', 'declined', 'released', 'chargeback', 'fraud_report')),
    CONSTRAINT outcomes_series_known_check CHECK (series IN ('declines', 'disputes')),
    CONSTRAINT outcomes_amount_has_asset_check CHECK ((amount_minor IS NULL) = (asset IS NULL)),
    CONSTRAINT outcomes_amount_minor_not_negative_check CHECK (amount_minor >= 0),
    CONSTRAINT outcomes_fingerprint_length_check CHECK (octet_length(fingerprint) = 32)
)
"""
RULE_SETS = """
CREATE TABLE rule_sets (
    version text NOT NULL,
    document text NOT NULL,
    CONSTRAINT rule_sets_pkey PRIMARY KEY (version)
)
"""
SUBJECTS = ("instrument", "customer", "device")


def upgrade() -> None:
    """Create everything that the first version needs."""
    create_expect_rows()
    create_audit_tables()
    for statement in (ASSESSMENTS, OUTCOMES, RULE_SETS):
        op.execute(statement)
    for subject in SUBJECTS:  # what velocity counts by when the fast counters are away
        op.execute(
            f"CREATE INDEX assessments_{subject}_idx ON assessments "
            f"(merchant, {subject}, create_time, name) WHERE {subject} IS NOT NULL"
        )
        op.execute(
            f"CREATE INDEX outcomes_{subject}_idx ON outcomes "
            f"(merchant, {subject}, series, create_time, payment) "
            f"WHERE series IS NOT NULL AND {subject} IS NOT NULL"
        )
    # What the fast counters are filled from.
    op.execute("CREATE INDEX assessments_time_idx ON assessments (merchant, create_time, name)")
    op.execute(
        "CREATE INDEX outcomes_time_idx ON outcomes (merchant, create_time, key) "
        "WHERE series IS NOT NULL"
    )
    grant_app_role()
    for table in ("assessments", "outcomes", "rule_sets"):
        make_append_only(table)
