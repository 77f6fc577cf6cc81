"""What every service's first migration creates besides its own tables, and who may use it."""

from typing import Final

from alembic import op

from cashier_common.db.failures import EXPECTATION_SQLSTATE

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


def create_expect_rows() -> None:
    """Create the function behind `tx.write(…, expect=…)`; for each service's first migration."""
    op.execute(EXPECT_ROWS)
