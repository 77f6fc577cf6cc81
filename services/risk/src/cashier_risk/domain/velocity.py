"""What is counted about whom: the meters that rules may read, whoever keeps the counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Series(StrEnum):
    """What happened."""

    ATTEMPTS = "attempts"
    DECLINES = "declines"
    DISPUTES = "disputes"


class Subject(StrEnum):
    """To whom or with what."""

    INSTRUMENT = "instrument"
    CUSTOMER = "customer"
    DEVICE = "device"


HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(hours=24)
HALF_YEAR: Final = timedelta(days=180)
"""Chargebacks arrive up to 120 days after the payment; fraud reports earlier."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One series of one subject, with the windows that are counted, shortest first.

    There is one of each, in TRACKS, so they are compared by identity; what every call needs of
    them is worked out once.
    """

    series: Series
    subject: Subject
    windows: tuple[tuple[str, timedelta], ...]
    meters: tuple[str, ...] = field(init=False)
    """Names such as `instrument_attempts_1h`, one for each window."""
    retention_ms: int = field(init=False)
    """How long an event counts at all."""
    short_ms: int = field(init=False)
    """The shorter window, or 0 where there is one window alone."""

    def __post_init__(self) -> None:
        meters = tuple(f"{self.subject}_{self.series}_{label}" for label, _ in self.windows)
        lengths = [length // timedelta(milliseconds=1) for _, length in self.windows]
        object.__setattr__(self, "meters", meters)
        object.__setattr__(self, "retention_ms", lengths[-1])
        object.__setattr__(self, "short_ms", lengths[0] if len(lengths) > 1 else 0)


_SHORT: Final = (("1h", HOUR), ("24h", DAY))
_LONG: Final = (("180d", HALF_YEAR),)
_PAYERS: Final = (Subject.INSTRUMENT, Subject.CUSTOMER)
TRACKS: Final = (
    *(Track(Series.ATTEMPTS, subject, _SHORT) for subject in Subject),
    *(Track(Series.DECLINES, subject, _SHORT) for subject in _PAYERS),
    *(Track(Series.DISPUTES, subject, _LONG) for subject in _PAYERS),
)
"""An attempt counts itself; declines and disputes are those that were reported before."""

METERS: Final = frozenset(meter for track in TRACKS for meter in track.meters)
COUNT_MAX: Final = 10_000
"""A window is kept up to this many events; no rule may ask for more."""


@dataclass(frozen=True, slots=True)
class Subjects:
    """Who and what a payment is counted under; a subject that is not known is absent."""

    merchant: str
    keys: Mapping[Subject, str]

    def tracks(self, *series: Series) -> list[tuple[Track, str]]:
        """The tracks of these series (all when none is named) whose subject is known."""
        return [
            (track, self.keys[track.subject])
            for track in TRACKS
            if track.subject in self.keys and (not series or track.series in series)
        ]
