"""Every call ends: the time that is left is known to whatever runs inside the call."""

import time
from contextvars import ContextVar
from dataclasses import dataclass

UNARY_DEFAULT_S = 10.0  # money-safety.md §1.6
UNARY_MAX_S = 60.0  # money-safety.md §1.6
STREAM_DEFAULT_S = 900.0  # a watcher or an import; a consumer resumes from its cursor
STREAM_MAX_S = 900.0
HOP_RESERVE_S = 0.05  # what this process keeps to write down and pass on the answer of the next one
HOP_MIN_S = 0.001  # gRPC answers DEADLINE_EXCEEDED by itself when this little is left


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.at - time.monotonic()

    @property
    def has_passed(self) -> bool:
        return self.remaining_s() <= 0


DEADLINE: ContextVar[Deadline | None] = ContextVar("cashier_deadline", default=None)


def current_deadline() -> Deadline | None:
    """The deadline of the call that is being served, or None outside a call."""
    return DEADLINE.get()


def granted_s(asked_s: float | None, *, streaming: bool) -> float:
    """What a server grants: the default when nothing was asked for, never more than the most."""
    if streaming:
        return STREAM_DEFAULT_S if asked_s is None else min(asked_s, STREAM_MAX_S)
    return UNARY_DEFAULT_S if asked_s is None else min(asked_s, UNARY_MAX_S)


def hop(remaining_s: float, reserve_s: float = HOP_RESERVE_S) -> float:
    """The time-out for a call to the next service: what is left less the reserve, above zero."""
    return max(remaining_s - reserve_s, HOP_MIN_S)


def outgoing_s(default_s: float) -> float:
    """The time-out of an outgoing call that names none: what the served call leaves."""
    deadline = DEADLINE.get()
    return default_s if deadline is None else min(hop(deadline.remaining_s()), default_s)
