"""A circuit breaker: after a few failures in a row nobody waits for what is down."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

FAILURES_MAX: Final = 3
"""So many failures in a row open the circuit: one lost packet does not."""
OPEN_S: Final = 1.0
"""How long nobody asks; then one caller tries."""


class State(StrEnum):
    """CLOSED lets all through, OPEN none, HALF_OPEN one at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts failures; `allows` before a try, then `succeeded`, `failed` or `gave_up`."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._opened_at = 0.0
        self.state = State.CLOSED

    def allows(self) -> bool:
        """Whether to try now. In HALF_OPEN the one that got True is the only one until it tells."""
        if self.state is State.CLOSED:
            return True
        if self.state is State.OPEN and self._monotonic() - self._opened_at >= OPEN_S:
            self.state = State.HALF_OPEN
            return True
        return False

    def succeeded(self) -> bool:
        """Note an answer; True where it closed the circuit."""
        self._failures = 0
        closed = self.state is not State.CLOSED
        self.state = State.CLOSED
        return closed

    def failed(self) -> bool:
        """Note a failure; True where it opened a circuit that was closed."""
        self._failures += 1
        if self.state is State.CLOSED and self._failures < FAILURES_MAX:
            return False
        opened = self.state is State.CLOSED
        self._open()
        return opened

    def gave_up(self) -> None:
        """Note a try without a result (its caller was cancelled): another one may try soon."""
        if self.state is State.HALF_OPEN:
            self._open()

    def _open(self) -> None:
        self.state = State.OPEN
        self._opened_at = self._monotonic()
