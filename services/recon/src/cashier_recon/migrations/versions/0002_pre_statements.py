"""Statements and their lines, runs and their decisions, exceptions."""

from alembic import op

from cashier_common.db.schema import grant_app_role, make_append_only

revision = "0002"
down_revision = "0001"

TABLES = (
    """
    CREATE TABLE statements (
        statement_id text PRIMARY KEY,
        processor_account text NOT NULL,
        format smallint NOT NULL,
        file_name text NOT NULL,
        content_hash bytea NOT NULL,
        period_end_time timestamptz,
        state text NOT NULL,
        detail text NOT NULL,
        line_count bigint NOT NULL,
        repeated_line_count bigint NOT NULL,
        rejected_line_count bigint NOT NULL,
        totals jsonb NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT statements_state_known_check CHECK (state IN ('IMPORTED', 'QUARANTINED'))
    )
    """,
    "CREATE TABLE quarantined_files (statement_id text PRIMARY KEY, content bytea NOT NULL)",
    """
    CREATE TABLE statement_lines (
        line_id text PRIMARY KEY,
        statement_id text NOT NULL,
        row integer NOT NULL,
        processor_account text NOT NULL,
        external_id text NOT NULL,
        occurrence integer NOT NULL,
        type text NOT NULL,
        category text NOT NULL,
        source text NOT NULL,
        description text NOT NULL,
        asset text NOT NULL,
        amount bigint NOT NULL,
        fee bigint NOT NULL,
        net bigint NOT NULL,
        created timestamptz NOT NULL,
        available_on timestamptz NOT NULL,
        payout text NOT NULL,
        facts bytea NOT NULL,
        state text NOT NULL,
        operation text,
        run_id text,
        CONSTRAINT statement_lines_net_check CHECK (net = amount - fee),
        CONSTRAINT statement_lines_state_known_check CHECK (state IN
            ('NEW', 'SETTLED', 'DIFFERS', 'BOOKED', 'SUSPENDED', 'PARKED'))
    )
    """,
    """
    CREATE TABLE rejected_rows (
        statement_id text NOT NULL,
        row integer NOT NULL,
        processor_account text NOT NULL,
        external_id text NOT NULL,
        reject text NOT NULL,
        detail text NOT NULL,
        raw text NOT NULL,
        asset text,
        net bigint,
        run_id text,
        CONSTRAINT rejected_rows_pkey PRIMARY KEY (statement_id, row)
    )
    """,
    """
    CREATE TABLE runs (
        run_id text PRIMARY KEY,
        state text NOT NULL,
        cutoff_time timestamptz NOT NULL,
        processor_accounts text[] NOT NULL,
        planned boolean NOT NULL,
        bridge jsonb NOT NULL,
        matched_count bigint NOT NULL,
        exception_counts jsonb NOT NULL,
        detail text NOT NULL,
        create_time timestamptz NOT NULL,
        finish_time timestamptz,
        result_hash bytea NOT NULL,
        CONSTRAINT runs_state_known_check CHECK (state IN
            ('RUNNING', 'COMPLETE', 'INCOMPLETE', 'FAILED'))
    )
    """,
    """
    CREATE TABLE run_items (
        run_id text NOT NULL,
        number bigint NOT NULL,
        outcome text NOT NULL,
        line_id text,
        before_state text NOT NULL,
        event text,
        operation text,
        related text,
        rejected_statement text,
        rejected_row integer,
        second text NOT NULL,
        second_expected bigint,
        second_observed bigint,
        applied boolean NOT NULL,
        CONSTRAINT run_items_pkey PRIMARY KEY (run_id, number)
    )
    """,
    """
    CREATE TABLE exceptions (
        exception_id text PRIMARY KEY,
        type text NOT NULL,
        severity smallint NOT NULL,
        state text NOT NULL,
        version bigint NOT NULL,
        merchant text NOT NULL,
        processor_account text NOT NULL,
        payment text NOT NULL,
        operation text NOT NULL,
        line_id text NOT NULL,
        expected_amount bigint,
        expected_asset text,
        observed_amount bigint,
        observed_asset text,
        statement_reference text NOT NULL,
        detail text NOT NULL,
        assignee text NOT NULL,
        disposition text NOT NULL,
        run_id text NOT NULL,
        due_time timestamptz NOT NULL,
        create_time timestamptz NOT NULL,
        update_time timestamptz NOT NULL,
        CONSTRAINT exceptions_state_known_check CHECK (state IN ('DETECTED', 'PENDING', 'OPEN',
            'ASSIGNED', 'AWAITING_PROVIDER', 'AWAITING_CUSTOMER', 'AWAITING_APPROVAL', 'RESOLVED',
            'WRITTEN_OFF', 'REJECTED', 'REOPENED'))
    )
    """,
)
INDEXES = (
    """CREATE INDEX statement_lines_waiting_idx ON statement_lines (processor_account, source)
       WHERE state IN ('NEW', 'SUSPENDED')""",
    """CREATE INDEX statement_lines_payout_idx ON statement_lines (processor_account, payout)
       WHERE payout <> ''""",
    "CREATE INDEX rejected_rows_untold_idx ON rejected_rows (statement_id) WHERE run_id IS NULL",
    "CREATE UNIQUE INDEX runs_one_running_key ON runs (state) WHERE state = 'RUNNING'",
    "CREATE INDEX runs_newest_idx ON runs (create_time, run_id)",
    "CREATE INDEX run_items_open_idx ON run_items (run_id, number) WHERE NOT applied",
    "CREATE INDEX exceptions_urgent_idx ON exceptions (due_time, exception_id)",
)


def upgrade() -> None:
    """Create what reconciliation needs beside the books."""
    for statement in (*TABLES, *INDEXES):
        op.execute(statement)
    grant_app_role()
    for table in ("journals", "entries", "quarantined_files"):
        make_append_only(table)
