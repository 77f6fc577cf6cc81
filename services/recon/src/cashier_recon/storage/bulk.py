"""Many rows in one statement: each column travels as one array."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import Insert, insert

from cashier_common.db.types import insert_many


def upsert_many(table: Table, *columns: str) -> Insert:
    """`insert_many`, to which ON CONFLICT can be added."""
    plain = insert_many(table, *columns)
    source = plain.select
    if source is None:
        raise TypeError("insert_many must select from its arrays")
    return insert(table).from_select(list(columns), source)


def arrays(
    names: Sequence[str], items: Iterable[Any], read: Callable[[Any], Sequence[object]]
) -> dict[str, Any]:
    """The parameters of `insert_many`: `read` gives one item's values in the order of `names`."""
    columns = zip(*map(read, items), strict=True)
    found = dict(zip(names, columns, strict=False))
    return found or dict.fromkeys(names, ())
