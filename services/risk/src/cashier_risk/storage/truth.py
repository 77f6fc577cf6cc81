"""Velocity from the rows themselves: what the fast counters are filled from and replaced by."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
from sqlalchemy import ColumnElement, Select, Table, Text, bindparam, func, literal, select, tuple_

from cashier_common.db.engine import Database
from cashier_common.db.transaction import compiled
from cashier_common.db.types import TIME
from cashier_risk.domain.facts import Asked
from cashier_risk.domain.velocity import (
    COUNT_MAX,
    DAY,
    HALF_YEAR,
    TRACKS,
    Series,
    Subject,
    Subjects,
    Track,
)
from cashier_risk.flows.ports import Event
from cashier_risk.storage.rows import subject_columns
from cashier_risk.storage.tables import assessments, outcomes

BATCH_MAX: Final = 200
"""Rows per batch of a refill: a millisecond, so that calls hardly notice it."""


def _meter(track: Track, meter: str, label: str) -> ColumnElement[Any]:
    """One count as a scalar subquery over an index; it stops at COUNT_MAX rows."""
    attempts = track.series is Series.ATTEMPTS
    table = assessments if attempts else outcomes
    rows = select(literal(1) if attempts else table.c.payment).where(
        table.c.merchant == bindparam("of_merchant"),
        table.c[track.subject.value] == bindparam(f"of_{track.subject.value}", type_=Text),
        table.c.create_time > bindparam(f"since_{label}", type_=TIME),
        table.c.create_time <= bindparam("until", type_=TIME),
    )
    if attempts:  # the one being assessed is added by hand, whether it is kept already or not
        rows = rows.where(table.c.name != bindparam("but_not"))
    else:
        rows = rows.where(table.c.series == track.series.value).distinct()
    counted = select(func.count()).select_from(rows.limit(COUNT_MAX).subquery())
    return counted.scalar_subquery().label(meter)


COUNTS: Final = compiled(
    select(
        *(
            _meter(track, meter, label)
            for track in TRACKS
            for meter, (label, _) in zip(track.meters, track.windows, strict=True)
        )
    )
)
_WINDOWS: Final = {f"since_{label}": length for track in TRACKS for label, length in track.windows}


def _page(table: Table, place: str, *more: ColumnElement[Any]) -> Select[Any]:
    """Rows of a merchant in the order of (create_time, place), behind one of them."""
    return (
        select(
            table.c.payment,
            table.c.create_time,
            table.c[place].label("place"),
            *(table.c[subject.value] for subject in Subject),
            *more,
        )
        .where(
            table.c.merchant == bindparam("of_merchant"),
            tuple_(table.c.create_time, table.c[place])
            > tuple_(bindparam("after_time", type_=TIME), bindparam("after_place", type_=Text)),
        )
        .order_by(table.c.create_time, table.c[place])
        .limit(BATCH_MAX)
    )


ATTEMPTS: Final = compiled(_page(assessments, "name"))
REPORTS: Final = compiled(
    _page(outcomes, "key", outcomes.c.series).where(outcomes.c.series.is_not(None))
)


class DatabaseTruth:
    """The truth on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def counts(self, asked: Asked, *, name: str, at: datetime) -> Mapping[str, int]:
        """Every meter of the known subjects; the assessment `name` itself counts as an attempt."""
        subjects = asked.subjects
        row = await self._database.fetch_one(
            COUNTS,
            of_merchant=asked.merchant,
            but_not=name,
            until=at,
            **{f"of_{column}": key for column, key in subject_columns(subjects).items()},
            **{since: at - length for since, length in _WINDOWS.items()},
        )
        if row is None:
            raise RuntimeError("a SELECT of scalars answered no row")
        return {
            meter: row[meter] + (track.series is Series.ATTEMPTS)
            for track, _ in subjects.tracks()
            for meter in track.meters
        }

    async def events(self, merchant: str, *, at: datetime) -> AsyncIterator[Sequence[Event]]:
        """Attempts of the last day, then declines and disputes of the last half-year."""
        for query, since in ((ATTEMPTS, at - DAY), (REPORTS, at - HALF_YEAR)):
            after: tuple[datetime, str] = (since, "")
            while rows := await self._database.fetch(
                query, of_merchant=merchant, after_time=after[0], after_place=after[1]
            ):
                yield [event for row in rows for event in _events(row, merchant)]
                after = rows[-1]["create_time"], rows[-1]["place"]


def _events(row: asyncpg.Record, merchant: str) -> list[Event]:
    series = Series(row["series"]) if "series" in row else Series.ATTEMPTS
    keys = {subject: row[subject.value] for subject in Subject if row[subject.value] is not None}
    return [
        Event(track, key, row["payment"], row["create_time"])
        for track, key in Subjects(merchant, keys).tracks(series)
    ]
