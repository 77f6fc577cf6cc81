"""Which days banks settle: neither weekends nor the holidays of the Federal Reserve."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

_SATURDAY: Final = 5
_MONDAY, _THURSDAY = 0, 3
_JUNETEENTH_SINCE: Final = 2021
_YEARS_KEPT: Final = 64


def is_banking_day(day: date) -> bool:
    """Whether entries settle on this day."""
    return day.weekday() < _SATURDAY and day not in holidays(day.year)


def add_banking_days(day: date, count: int) -> date:
    """The day that is `count` banking days later; for 0 the day itself, or the next banking day."""
    if count < 0:
        raise ValueError("days are counted forward")
    while not is_banking_day(day):
        day += timedelta(days=1)
    for _ in range(count):
        day += timedelta(days=1)
        while not is_banking_day(day):
            day += timedelta(days=1)
    return day


@lru_cache(maxsize=_YEARS_KEPT)
def holidays(year: int) -> frozenset[date]:
    """The Federal Reserve's holidays of a year.

    One on a Sunday is kept on Monday, one on a Saturday is not kept at all.
    """
    fixed = [(1, 1), (7, 4), (11, 11), (12, 25)]
    if year >= _JUNETEENTH_SINCE:
        fixed.append((6, 19))
    kept = {_observed(date(year, month, day)) for month, day in fixed}
    kept |= {
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        _nth(year, 6, _MONDAY, 1) - timedelta(days=7),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 10, _MONDAY, 2),
        _nth(year, 11, _THURSDAY, 4),
    }
    return frozenset(kept)


def _observed(day: date) -> date:
    return day + timedelta(days=1) if day.weekday() == _SATURDAY + 1 else day


def _nth(year: int, month: int, weekday: int, count: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))
