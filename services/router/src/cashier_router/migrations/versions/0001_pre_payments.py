"""Payments, operations, idempotency keys and the append-only record."""

from alembic import op

from cashier_common.db.migrate import (
    create_audit_tables,
    create_expect_rows,
    create_requests_table,
    grant_app_role,
)

revision = "0001"
down_revision = None

PAYMENTS = """
CREATE TABLE payments (
    merchant text NOT NULL,
    name text NOT NULL,
    merchant_reference text NOT NULL,
    direction text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL,
    capture_method text NOT NULL,
    terms text NOT NULL,
    state text NOT NULL,
    first_state text NOT NULL,
    assessment text NOT NULL,
    decision text,
    failure text,
    authorized bigint NOT NULL DEFAULT 0,
    captured bigint NOT NULL DEFAULT 0,
    capture_reserved bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    refund_reserved bigint NOT NULL DEFAULT 0,
    disputed bigint NOT NULL DEFAULT 0,
    voided bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL,
    cancel_requested boolean NOT NULL,
    origin_payment text NOT NULL,
    disputes text,
    attention text,
    traceparent text NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT payments_pkey PRIMARY KEY (merchant, name),
    CONSTRAINT payments_amount_positive CHECK (amount > 0),
    CONSTRAINT payments_capture_in_authorized
        CHECK (captured + capture_reserved + voided <= authorized),
    CONSTRAINT payments_refund_in_captured
        CHECK (refunded + refund_reserved + disputed <= captured),
    CONSTRAINT payments_amounts_not_negative CHECK (
        authorized >= 0 AND captured >= 0 AND capture_reserved >= 0 AND refunded >= 0
        AND refund_reserved >= 0 AND disputed >= 0 AND voided >= 0)
)
"""
OPERATIONS = """
CREATE TABLE operations (
    merchant text NOT NULL,
    payment text NOT NULL,
    number smallint NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    rail text NOT NULL,
    account text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL,
    processor_reference text NOT NULL,
    processor_code text NOT NULL,
    decline_meaning text NOT NULL,
    next_action bytea,
    settlement text,
    target smallint,
    final boolean NOT NULL,
    release bigint NOT NULL DEFAULT 0,
    reason text NOT NULL,
    lease_epoch bigint NOT NULL,
    lease_until timestamptz,
    asks integer NOT NULL DEFAULT 0,
    ask_after timestamptz,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT operations_pkey PRIMARY KEY (merchant, payment, number),
    CONSTRAINT operations_of_payment FOREIGN KEY (merchant, payment)
        REFERENCES payments (merchant, name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT operations_amount_positive CHECK (amount > 0),
    CONSTRAINT operations_release_not_negative CHECK (release >= 0)
)
"""
DISPUTES = """
CREATE TABLE disputes (
    merchant text NOT NULL,
    name text NOT NULL,
    payment text NOT NULL,
    account text NOT NULL,
    stage text NOT NULL,
    state text NOT NULL,
    evidence_due timestamptz NOT NULL,
    CONSTRAINT disputes_pkey PRIMARY KEY (merchant, name),
    CONSTRAINT disputes_of_payment FOREIGN KEY (merchant, payment)
        REFERENCES payments (merchant, name) DEFERRABLE INITIALLY DEFERRED
)
"""


def upgrade() -> None:
    """Create everything that the first version needs."""
    create_expect_rows()
    create_requests_table()
    create_audit_tables()
    op.execute(PAYMENTS)
    op.execute(
        "CREATE UNIQUE INDEX payments_live_reference ON payments (merchant, merchant_reference)"
        " WHERE state NOT IN ('failed', 'rejected', 'canceled')"
    )
    op.execute("CREATE INDEX payments_by_time ON payments (merchant, create_time, name)")
    op.execute(OPERATIONS)
    op.execute(
        "CREATE INDEX operations_to_ask ON operations (ask_after) WHERE ask_after IS NOT NULL"
    )
    op.execute(
        "CREATE INDEX operations_leased ON operations (lease_until) WHERE lease_until IS NOT NULL"
    )
    op.execute(
        "CREATE INDEX payments_for_people ON payments (create_time, merchant, name)"
        " WHERE attention IS NOT NULL"
    )
    op.execute(DISPUTES)
    op.execute("CREATE INDEX disputes_by_due ON disputes (merchant, evidence_due, name)")
    op.execute("CREATE INDEX disputes_everywhere_by_due ON disputes (evidence_due, merchant, name)")
    op.execute(
        "CREATE INDEX disputes_open_by_due ON disputes (evidence_due, merchant, name)"
        " WHERE state = 'open'"
    )
    grant_app_role()
