"""Wallets, and a table of receipts that is only ever added to."""

import sqlalchemy as sa
from alembic import op

from cashier_common.db.migrate import make_append_only
from cashier_common.db.types import not_negative

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "wallets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("nickname", sa.Text, unique=True),
        not_negative("balance"),
    )
    op.create_table("receipts", sa.Column("id", sa.BigInteger, primary_key=True))
    make_append_only("receipts")
