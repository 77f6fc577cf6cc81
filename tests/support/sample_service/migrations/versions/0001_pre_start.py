"""The plumbing's tables and the app role's rights."""

from cashier_common.db.migrate import (
    create_audit_tables,
    create_expect_rows,
    create_requests_table,
    grant_app_role,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_expect_rows()
    grant_app_role()
    create_audit_tables()
    create_requests_table()
