"""What the flows need of the world: a book to write in, an archive to read, counters, a clock."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cashier_common.clock import Clock
from cashier_risk.domain.assessment import Assessment
from cashier_risk.domain.facts import Asked
from cashier_risk.domain.outcome import ReportedOutcome
from cashier_risk.domain.rules import RuleSet
from cashier_risk.domain.velocity import Series, Subjects, Track


@dataclass(frozen=True, slots=True)
class By:
    """Who caused a step: a caller's URI, and the traceparent of the call."""

    actor: str
    traceparent: str


class AlreadyKept(Exception):
    """The unit was rolled back because the same assessment or outcome was kept before."""


class Book(Protocol):
    """One unit of work: everything written here is kept together with its steps, or not at all."""

    def add_assessment(self, assessment: Assessment, asked: Asked, rules: RuleSet, by: By) -> None:
        """Keep a new assessment and its step; AlreadyKept at the end when there is one."""

    def add_outcome(self, outcome: ReportedOutcome, subjects: Subjects, by: By) -> None:
        """Keep a new outcome and its step; AlreadyKept at the end when the key has one."""


class Archive(Protocol):
    """What was kept. Raises StoreUnavailable when it cannot be read."""

    async def assessment(self, name: str) -> Assessment | None:
        """The assessment of this name."""

    async def outcome_fingerprint(self, merchant: str, key: str) -> bytes | None:
        """The fingerprint of the report that was kept under this idempotency key."""

    async def rule_document(self, version: str) -> str | None:
        """The text of a rule set that has decided."""


@dataclass(frozen=True, slots=True)
class Event:
    """One counted thing: which track, of which subject, which payment, when."""

    track: Track
    key: str
    payment: str
    at: datetime


class Truth(Protocol):
    """The counts in PostgreSQL: slower, and right. Raises StoreUnavailable."""

    async def counts(self, asked: Asked, *, name: str, at: datetime) -> Mapping[str, int]:
        """Every meter of the known subjects at `at`; the assessment `name` counts as an attempt."""

    def events(self, merchant: str, *, at: datetime) -> AsyncIterator[Sequence[Event]]:
        """Everything that still counts at `at`, in batches."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the fast counters say. `trusted` is False while they may lack something."""

    counts: Mapping[str, int]
    trusted: bool


class Counters(Protocol):
    """The counts in Redis: hints, and None whenever they cannot be asked. Never raises."""

    async def attempt(self, subjects: Subjects, payment: str, at: datetime) -> Counted | None:
        """Count an attempt (once per payment) and read every meter, in one round trip."""

    async def happened(
        self, series: Series, subjects: Subjects, payment: str, at: datetime
    ) -> None:
        """Count a decline or a dispute, once per payment."""

    async def generation(self, merchant: str) -> str | None:
        """Which life of the merchant's server this is: another one may have forgotten things."""

    async def mend(self, merchant: str) -> bool:
        """Add what could not be added before; False when that does not make them whole."""

    async def load(self, merchant: str, events: Sequence[Event]) -> bool:
        """Add events that may be missing; False when they could not be added."""

    async def trust(self, merchant: str, generation: str) -> bool:
        """Say that nothing of this merchant is missing, as long as this generation lives."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that a flow works with; `counters` is None where no Redis is configured.

    `refill(merchant)` asks for the counters to be filled from the truth; it returns at once.
    """

    begin: Callable[[], AbstractAsyncContextManager[Book]]
    archive: Archive
    truth: Truth
    counters: Counters | None
    refill: Callable[[str], None]
    rules: RuleSet
    clock: Clock
