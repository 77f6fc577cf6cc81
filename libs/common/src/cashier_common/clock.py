"""The clock port: nobody else asks the machine for the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is, for dates, and how time passes, for durations."""

    def now(self) -> datetime:
        """The time, timezone-aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time, timezone-aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class FixedClock:
    """A clock for tests that moves only when told."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """The time that the test set."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that the test let pass."""
        return self._elapsed_s

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by
        self._elapsed_s += by.total_seconds()
