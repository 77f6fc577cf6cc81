"""The inbox as operators see and steer it, apart from the worker that empties it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import quote, unquote

from cashier_common.db.transaction import UnitOfWork
from cashier_gateway.domain.notice import Notice
from cashier_gateway.flows.notice_ports import Due, InboxState
from cashier_gateway.flows.ports import Origin

PREFIX: Final = "notices/"
# How long the facts of a settled letter are kept, for people who ask what happened.
FACTS_LIFE: Final = timedelta(days=7)
# Of one that was about nothing of ours, or about something else than ours: people look into these.
DOUBTFUL_FACTS_LIFE: Final = timedelta(days=30)
# For so long a processor may send a letter again, by itself or because somebody asks it to.
RESEND_HORIZONS: Final = {
    "sandbox": timedelta(days=7),  # a minute by itself; by its control API whenever a test asks
    "stripe": timedelta(days=30),  # 3 days by itself; its list of events resends 30 days of them
    "adyen": timedelta(days=30),  # its queue tries for 30 days
}
RESEND_HORIZON_UNKNOWN: Final = timedelta(days=60)
"""Of a processor that has no row above."""


def key_life(processor: str) -> timedelta:
    """How long a letter's name is kept, so that a second one like it is known: twice as long."""
    return 2 * RESEND_HORIZONS.get(processor, RESEND_HORIZON_UNKNOWN)


def name_of(due: Due) -> str:
    """The letter's name in answers: `notices/{account}/{event}`, the event percent-encoded."""
    return f"{PREFIX}{due.account}/{quote(due.event_id, safe='')}"


def due_of(name: str) -> Due | None:
    """Which letter a name is about; None where it is no such name."""
    account, slash, event = name.removeprefix(PREFIX).partition("/")
    if not name.startswith(PREFIX) or not account or not slash or not event or "/" in event:
        return None
    return Due(account, unquote(event))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    """A letter as it stands. `notice` is None once its facts were reaped; times are UTC.

    `result` is a word of `Taken`, DISMISSED, or FAILED with what failed; empty before the first
    attempt. `version` counts what operators did to it, `tries` the attempts since then.
    """

    due: Due
    state: InboxState
    result: str
    notice: Notice | None
    body_hash: bytes
    tries: int
    version: int
    received_at: datetime
    next_at: datetime
    settled_at: datetime | None

    @property
    def name(self) -> str:
        return name_of(self.due)

    @property
    def etag(self) -> str:
        """Changes with every attempt and whatever an operator does."""
        return f"{self.version}-{self.tries}-{self.state.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters to list; what is empty or None does not matter."""

    account: str = ""
    state: str = ""
    result: str = ""
    operation: str = ""
    received_from: datetime | None = None
    received_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many letters are in a state, and when the oldest of them came."""

    state: InboxState
    count: int
    oldest_at: datetime


class Desk(Protocol):
    """The inbox for people. Writes belong to the unit of work that they are given."""

    def begin(self) -> UnitOfWork:
        """A unit of work."""

    async def find(self, due: Due, tx: UnitOfWork | None = None) -> KeptLetter | None:
        """The letter; inside a unit it is locked."""

    async def page(
        self, wanted: Filter, after: tuple[datetime, str, str] | None, size: int
    ) -> Sequence[KeptLetter]:
        """Letters of a filter behind the one with this (time, account, event), newest first."""

    async def is_done(self, tx: UnitOfWork, key: str, fingerprint: bytes) -> bool:
        """Whether a request with this key was done; IdempotencyKeyReused where another one was."""

    def change(
        self, tx: UnitOfWork, letter: KeptLetter, state: InboxState, *, result: str,
        action: str, origin: Origin, reason: str, key: str, fingerprint: bytes,
    ) -> None:  # fmt: skip
        """Claim the key, move the letter, write the step; RaceLost when the letter moved."""
