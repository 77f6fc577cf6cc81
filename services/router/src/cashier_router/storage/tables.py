"""The router's tables, as SQLAlchemy Core sees them; migrations create them."""

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from cashier_common.db.types import service_metadata

metadata = service_metadata()

# States in which a payment no longer holds its merchant reference (money-safety.md, 1.8).
REFERENCE_FREE = "state NOT IN ('failed', 'rejected', 'canceled')"
LIVE_REFERENCE = "payments_live_reference"
PAYMENTS_KEY = "payments_pkey"


def _amount(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


payments = Table(
    "payments",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("merchant_reference", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("asset", Text, nullable=False),
    _amount("amount"),
    Column("capture_method", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("first_state", Text, nullable=False),
    Column("assessment", Text, nullable=False),
    Column("decision", Text),
    Column("failure", Text),
    _amount("authorized"),
    _amount("captured"),
    _amount("capture_reserved"),
    _amount("refunded"),
    _amount("refund_reserved"),
    _amount("disputed"),
    _amount("voided"),
    Column("version", BigInteger, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("origin_payment", Text, nullable=False),
    Column("disputes", Text),
    Column("attention", Text),  # why a person must look at it
    Column("traceparent", Text, nullable=False),
    Column("create_time", TIMESTAMP(timezone=True), nullable=False),
    Column("update_time", TIMESTAMP(timezone=True), nullable=False),
    CheckConstraint("amount > 0", name="payments_amount_positive"),
    CheckConstraint(
        "captured + capture_reserved + voided <= authorized", name="payments_capture_in_authorized"
    ),
    CheckConstraint(
        "refunded + refund_reserved + disputed <= captured", name="payments_refund_in_captured"
    ),
    CheckConstraint(
        "authorized >= 0 AND captured >= 0 AND capture_reserved >= 0 AND refunded >= 0"
        " AND refund_reserved >= 0 AND disputed >= 0 AND voided >= 0",
        name="payments_amounts_not_negative",
    ),
    Index(LIVE_REFERENCE, "merchant", "merchant_reference", unique=True,
          postgresql_where=text(REFERENCE_FREE)),
    Index("payments_by_time", "merchant", "create_time", "name"),
    Index("payments_for_people", "create_time", "merchant", "name",
          postgresql_where=text("attention IS NOT NULL")),
)  # fmt: skip

operations = Table(
    "operations",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("payment", Text, primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rail", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("asset", Text, nullable=False),
    _amount("amount"),
    Column("processor_reference", Text, nullable=False),
    Column("processor_code", Text, nullable=False),
    Column("decline_meaning", Text, nullable=False),
    Column("next_action", LargeBinary),
    Column("settlement", Text),
    Column("target", SmallInteger),
    Column("final", Boolean, nullable=False),
    _amount("release"),
    Column("reason", Text, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("lease_until", TIMESTAMP(timezone=True)),
    Column("asks", Integer, nullable=False, server_default="0"),
    Column("ask_after", TIMESTAMP(timezone=True)),
    Column("create_time", TIMESTAMP(timezone=True), nullable=False),
    Column("update_time", TIMESTAMP(timezone=True), nullable=False),
    ForeignKeyConstraint(["merchant", "payment"], ["payments.merchant", "payments.name"]),
    CheckConstraint("amount > 0", name="operations_amount_positive"),
    CheckConstraint("release >= 0", name="operations_release_not_negative"),
    Index("operations_to_ask", "ask_after", postgresql_where=text("ask_after IS NOT NULL")),
    Index("operations_leased", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
)  # fmt: skip

# The truth about a dispute lies in its payment's row; this finds it, and is written with it.
disputes = Table(
    "disputes",
    metadata,
    Column("merchant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("payment", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("evidence_due", TIMESTAMP(timezone=True), nullable=False),
    ForeignKeyConstraint(["merchant", "payment"], ["payments.merchant", "payments.name"]),
    Index("disputes_by_due", "merchant", "evidence_due", "name"),
    Index("disputes_everywhere_by_due", "evidence_due", "merchant", "name"),
    Index("disputes_open_by_due", "evidence_due", "merchant", "name",
          postgresql_where=text("state = 'open'")),
)  # fmt: skip
