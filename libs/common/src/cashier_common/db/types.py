"""Column types, names and shapes that every table shares, so that rules have predictable names."""

from enum import StrEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Insert,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

NAMING: Final = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}
"""PostgreSQL's own names for keys; a CHECK says its rule: `payments_captured_fits_check`."""

TIME: Final = DateTime(timezone=True)
"""timestamptz; asyncpg answers timezone-aware UTC datetimes."""
MINOR_UNITS: Final = BigInteger()
"""A count of an asset's minor units, never without an asset column beside it."""
CHAIN_UNITS: Final = Numeric(78, 0)
"""Raw units of a chain (wei): any unsigned 256-bit integer; asyncpg answers Decimal."""
SHA256: Final = LargeBinary(32)
"""The 32 bytes of a digest."""


def service_metadata() -> MetaData:
    """The MetaData of one service's tables; ConstraintBroken tells the names made here."""
    return MetaData(naming_convention=NAMING)


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """A CHECK that the column holds a value of the enum; adding a value is a `pre` migration."""
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def not_negative(column: str) -> CheckConstraint:
    """A CHECK for amounts."""
    return CheckConstraint(f"{column} >= 0", name=f"{column}_not_negative")


def insert_many(table: Table, *columns: str) -> Insert:
    """One INSERT for any number of rows: each parameter is the array of that column's values.

    `db.execute(compiled(insert_many(t, "a", "b")), a=[1, 2], b=["x", "y"])`; `expect` is the
    number of rows. Arrays of different length are filled up with NULLs by PostgreSQL.
    """
    wanted: list[Column[object]] = [table.c[name] for name in columns]
    given = (
        func.unnest(*(bindparam(column.key, type_=ARRAY(column.type)) for column in wanted))
        .table_valued(*(column.key for column in wanted), name="given")
        .render_derived()
    )
    rows = select(*(given.c[column.key] for column in wanted))
    return insert(table).from_select([column.key for column in wanted], rows)
