"""The gateway's first tables: calls to processors, and the plumbing that every service has."""

from alembic import op

from cashier_common.db.schema import (
    app_role,
    create_audit_tables,
    create_expect_rows,
    create_requests_table,
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
    payer bytea,
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
CALLS_FOUND = (
    "CREATE INDEX calls_payer_idx ON calls (created_at) WHERE payer IS NOT NULL",
    "CREATE INDEX calls_operation_idx ON calls (operation)",
    "CREATE INDEX calls_account_reference_idx ON calls (account, reference) WHERE reference <> ''",
    """CREATE INDEX calls_acting_on_idx ON calls (account, (request->>'authorization_reference'))
    WHERE (request->>'authorization_reference') IS NOT NULL""",
)
INBOX = """
CREATE TABLE inbox (
    account text NOT NULL,
    event_id text NOT NULL,
    body_hash bytea NOT NULL,
    notice jsonb,
    state text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    result text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    CONSTRAINT inbox_pkey PRIMARY KEY (account, event_id),
    CONSTRAINT inbox_state_known_check CHECK (state IN ('WAITING', 'DONE', 'DEAD')),
    CONSTRAINT inbox_body_hash_length_check CHECK (octet_length(body_hash) = 32),
    CONSTRAINT inbox_facts_wait_check CHECK (notice IS NOT NULL OR state = 'DONE')
)
"""
INBOX_INDEXES = (
    "CREATE INDEX inbox_due_idx ON inbox (next_at) WHERE state = 'WAITING'",
    "CREATE INDEX inbox_dead_idx ON inbox (received_at) WHERE state = 'DEAD'",
    "CREATE INDEX inbox_received_idx ON inbox (received_at, account, event_id)",
    """CREATE INDEX inbox_operation_idx ON inbox ((notice->>'operation'))
    WHERE (notice->>'operation') IS NOT NULL""",
    """CREATE INDEX inbox_settled_idx ON inbox (settled_at)
    WHERE state = 'DONE' AND notice IS NOT NULL""",
    "CREATE INDEX inbox_bare_idx ON inbox (settled_at) WHERE notice IS NULL",
)
NOTES = """
CREATE TABLE notes (
    merchant text NOT NULL,
    operation text NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    facts jsonb NOT NULL,
    occurred_at timestamptz,
    CONSTRAINT notes_pkey PRIMARY KEY (merchant, operation, kind, reference),
    CONSTRAINT notes_kind_known_check CHECK (kind IN ('SUCCEEDED', 'REVERSED', 'DISPUTED'))
)
"""
NOTES_DISPUTED = "CREATE INDEX notes_disputed_idx ON notes (reference) WHERE kind = 'DISPUTED'"
ACCOUNTS = """
CREATE TABLE processor_accounts (
    account_id text NOT NULL,
    version bigint NOT NULL,
    state text NOT NULL,
    document jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_by text NOT NULL,
    CONSTRAINT processor_accounts_pkey PRIMARY KEY (account_id),
    CONSTRAINT processor_accounts_state_known_check CHECK (state IN (
        'ENABLED', 'DRAINING', 'DISABLED')),
    CONSTRAINT processor_accounts_version_counts_check CHECK (version >= 1),
    CONSTRAINT processor_accounts_document_agrees_check CHECK (
        document->>'account_id' = account_id AND document->>'state' = state)
)
"""
ACH_TABLES = ("ach_entries", "ach_files", "ach_accounts")
ACH = (
    """
CREATE TABLE ach_entries (
    merchant text NOT NULL,
    operation text NOT NULL,
    account text NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    returns text NOT NULL,
    token text NOT NULL,
    amount_minor bigint NOT NULL,
    state text NOT NULL,
    trace text NOT NULL,
    file_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ach_entries_pkey PRIMARY KEY (merchant, operation),
    CONSTRAINT ach_entries_state_known_check CHECK (state IN (
        'WAITING', 'FILED', 'SETTLED', 'REMOVED')),
    CONSTRAINT ach_entries_amount_minor_positive_check CHECK (
        amount_minor > 0 OR state = 'REMOVED'),
    CONSTRAINT ach_entries_filed_has_trace_check CHECK (
        state NOT IN ('FILED', 'SETTLED') OR trace <> '')
)
""",
    """CREATE INDEX ach_entries_waiting_idx ON ach_entries (account, created_at)
    WHERE state = 'WAITING'""",
    """CREATE UNIQUE INDEX ach_entries_reference_idx ON ach_entries (account, reference)
    WHERE reference <> ''""",
    """CREATE UNIQUE INDEX ach_entries_trace_idx ON ach_entries (account, trace)
    WHERE trace <> ''""",
    """
CREATE TABLE ach_files (
    account text NOT NULL,
    file_id text NOT NULL,
    content bytea NOT NULL,
    sha256 bytea NOT NULL,
    state text NOT NULL,
    tries integer NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ach_files_pkey PRIMARY KEY (account, file_id),
    CONSTRAINT ach_files_state_known_check CHECK (state IN (
        'WRITTEN', 'SENDING', 'ACCEPTED', 'REFUSED')),
    CONSTRAINT ach_files_content_agrees_check CHECK (sha256 = sha256(content))
)
""",
    """CREATE INDEX ach_files_leaving_idx ON ach_files (account, created_at)
    WHERE state IN ('WRITTEN', 'SENDING')""",
    """
CREATE TABLE ach_accounts (
    account text NOT NULL,
    files bigint NOT NULL,
    traces bigint NOT NULL,
    reports_read bigint NOT NULL,
    CONSTRAINT ach_accounts_pkey PRIMARY KEY (account)
)
""",
)


def upgrade() -> None:
    """Create everything; what was true once is never deleted, so the app role may not.

    But for letters of the inbox: what became of them stands in the steps of their calls.
    """
    op.execute(CALLS)
    op.execute(CALLS_INDEX)
    for statement in (*CALLS_FOUND, INBOX, *INBOX_INDEXES, NOTES, NOTES_DISPUTED, ACCOUNTS):
        op.execute(statement)
    for statement in ACH:
        op.execute(statement)
    create_expect_rows()
    create_audit_tables()
    create_requests_table()
    grant_app_role()
    for table in ("calls", "notes", "processor_accounts", *ACH_TABLES):
        op.execute(f'REVOKE DELETE ON {table} FROM "{app_role()}"')
