"""Nobody asks for nicknames once the old code is gone."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_column("wallets", "nickname")
