"""The books: journals, entries, expectations, and the rules that the database itself holds."""

from alembic import op

from cashier_common.db.schema import (
    create_audit_tables,
    create_expect_rows,
    create_requests_table,
    grant_app_role,
    make_append_only,
)

revision = "0001"
down_revision = None

JOURNALS = """
CREATE TABLE journals (
    journal_id text PRIMARY KEY,
    cause text NOT NULL,
    merchant text NOT NULL,
    payment text NOT NULL,
    operation text NOT NULL,
    processor_account text NOT NULL,
    source text NOT NULL,
    entry_count smallint NOT NULL,
    book_time timestamptz NOT NULL,
    traceparent text NOT NULL,
    CONSTRAINT journals_entry_count_check CHECK (entry_count BETWEEN 2 AND 100)
)
"""
ENTRIES = """
CREATE TABLE entries (
    journal_id text NOT NULL,
    leg smallint NOT NULL,
    account text NOT NULL,
    owner text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL,
    book_time timestamptz NOT NULL,
    CONSTRAINT entries_pkey PRIMARY KEY (journal_id, leg),
    CONSTRAINT entries_amount_not_zero_check CHECK (amount <> 0)
)
"""
# One look per statement, over the rows that it brought: all entries of a journal come at once,
# balance per asset, and take every leg from 1 to the journal's count: none can be added later.
# The planner must not choose a scan of the whole table while it is small and keep that plan.
BALANCED = """
CREATE FUNCTION entries_balance() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
DECLARE
    bad record;
BEGIN
    SELECT journal_id, asset, sum(amount) AS off INTO bad FROM added
    GROUP BY journal_id, asset HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '23514', TABLE = 'entries',
            CONSTRAINT = 'entries_journal_balances_check',
            MESSAGE = format('%s does not balance in %s: its entries sum to %s',
                bad.journal_id, bad.asset, bad.off);
    END IF;
    SELECT a.journal_id, a.got, j.entry_count AS want INTO bad
    FROM (SELECT journal_id, count(*) AS got, min(leg) AS first, max(leg) AS last
          FROM added GROUP BY journal_id) a
    LEFT JOIN journals j ON j.journal_id = a.journal_id
    WHERE j.entry_count IS DISTINCT FROM a.got OR a.first <> 1 OR a.last <> a.got LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '23514', TABLE = 'entries',
            CONSTRAINT = 'entries_journal_complete_check',
            MESSAGE = format(
                '%s must come with all of its entries at once: %s came, %s belong to it',
                bad.journal_id, bad.got, coalesce(bad.want::text, 'no journal, so none'));
    END IF;
    RETURN NULL;
END
$body$
"""
BALANCED_TRIGGER = """
CREATE TRIGGER entries_balance AFTER INSERT ON entries
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION entries_balance()
"""
# At commit: a journal without its entries would be a promise that nobody kept.
FILLED = """
CREATE FUNCTION journals_filled() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off
AS $body$
BEGIN
    PERFORM 1 FROM entries WHERE journal_id = NEW.journal_id HAVING count(*) = NEW.entry_count;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '23514', TABLE = 'journals',
            CONSTRAINT = 'journals_filled_check',
            MESSAGE = format('%s has not the %s entries that it names',
                NEW.journal_id, NEW.entry_count);
    END IF;
    RETURN NULL;
END
$body$
"""
FILLED_TRIGGER = """
CREATE CONSTRAINT TRIGGER journals_filled AFTER INSERT ON journals
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION journals_filled()
"""
EXPECTATIONS = """
CREATE TABLE expectations (
    operation text PRIMARY KEY,
    payment text NOT NULL,
    merchant text NOT NULL,
    processor_account text NOT NULL,
    processor_reference text NOT NULL,
    leg text NOT NULL,
    state text NOT NULL,
    account text NOT NULL,
    amount bigint NOT NULL,
    asset text NOT NULL,
    expected_fee bigint,
    fee_schedule_version text NOT NULL,
    due_time timestamptz,
    book_time timestamptz NOT NULL,
    settled_line text,
    settled_amount bigint,
    settled_fee bigint,
    settle_time timestamptz,
    CONSTRAINT expectations_leg_known_check CHECK (leg IN
        ('CHARGE', 'REFUND', 'PAYOUT', 'REVERSAL', 'DISPUTE')),
    CONSTRAINT expectations_state_known_check CHECK (state IN
        ('PENDING', 'DOUBT', 'OPEN', 'DECLINED', 'RELEASED', 'SETTLED', 'DIFFERS', 'WRITTEN_OFF')),
    CONSTRAINT expectations_settled_by_line_check CHECK (
        (state IN ('SETTLED', 'DIFFERS')) <= (settled_line IS NOT NULL))
)
"""
INDEXES = (
    "CREATE INDEX journals_payment_idx ON journals (payment) WHERE payment <> ''",
    "CREATE INDEX entries_newest_idx ON entries (book_time, journal_id, leg)",
    "CREATE INDEX entries_account_idx ON entries (account, owner, asset, book_time)",
    """CREATE INDEX expectations_reference_idx
       ON expectations (processor_account, processor_reference) WHERE processor_reference <> ''""",
    """CREATE INDEX expectations_open_idx ON expectations (processor_account, due_time)
       WHERE state = 'OPEN'""",
    "CREATE UNIQUE INDEX expectations_settled_line_key ON expectations (settled_line)",
)


def upgrade() -> None:
    """Create the books and what the plumbing needs."""
    create_expect_rows()
    create_audit_tables()
    create_requests_table()
    for statement in (
        JOURNALS,
        ENTRIES,
        BALANCED,
        BALANCED_TRIGGER,
        FILLED,
        FILLED_TRIGGER,
        EXPECTATIONS,
        *INDEXES,
    ):
        op.execute(statement)
    grant_app_role()
    make_append_only("journals")
    make_append_only("entries")
