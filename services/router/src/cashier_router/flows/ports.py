"""What the flows need of the world, declared by the flows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from cashier_common.clock import Clock
from cashier_router.domain.afterwards import Later
from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.dispute import Dispute
from cashier_router.domain.health import Picture
from cashier_router.domain.opening import Step
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Assessment, Outcome
from cashier_router.domain.questions import QuestionPlan
from cashier_router.domain.review import Reviewed
from cashier_router.domain.routing import Account


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change, and in which trace."""

    name: str  # a caller's SPIFFE id, or `worker/<name>`
    traceparent: str


class KeyTakenError(Exception):
    """Another call claimed the idempotency key first."""


class PaymentNameTakenError(Exception):
    """The payment exists although its key was reaped."""


class MerchantReferenceTakenError(Exception):
    """A live payment of the merchant has this reference."""


class MovedOnError(Exception):
    """The payment or operation changed, or the lease is somebody else's: nothing was written."""


class BoundsBrokenError(Exception):
    """The table's CHECKs refuse the amounts; nothing was written, nor will be."""


class CommitUnknownError(Exception):
    """The connection was lost while committing: the unit happened as a whole or not at all."""


class Wish(Protocol):
    """What an idempotency key is claimed for."""

    @property
    def merchant(self) -> str:
        """Merchant."""

    @property
    def key(self) -> str:
        """Idempotency key."""

    @property
    def method(self) -> str:
        """Name of the method."""

    @property
    def payment(self) -> str:
        """Payment that it makes or is about."""

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over every field that means something."""


class Book(Protocol):
    """One unit of work; everything collected happens together or not at all, when it is left."""

    def claim(self, wish: Wish, resource: str) -> None:
        """Claim the wish's idempotency key; KeyTakenError on leaving when it is taken."""

    async def lock(self, merchant: str, name: str) -> Payment | None:
        """The payment with its operations, held until the unit ends, so that it cannot change."""

    def add(self, payment: Payment, step: Step, actor: Actor, *, lease_s: int) -> None:
        """Write a new payment, its operations and its first step."""

    def move(
        self, before: Payment, after: Payment, step: Step, actor: Actor, *, lease_s: int
    ) -> None:
        """Compare-and-set `before` to `after`, its operations and its step.

        Each changed operation is guarded by its state and its lease epoch. `lease_s` is how long
        nobody else may send the operations that are promised by this.
        """

    def advance_cursor(self, source: str, shard: int, *, seen: int, position: int) -> None:
        """Move a stream's cursor; MovedOnError on leaving when another replica moved it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an idempotency key was used for: a payment, or one of its operations."""

    resource: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """A payment and the number of the operation that a worker took."""

    payment: Payment
    number: int


@dataclass(frozen=True, slots=True)
class DisputeFilter:
    """Which disputes are wanted; empty words and lists stand for all of them.

    `due_before` means those that are open and want evidence before it.
    """

    merchants: Sequence[str] | None = None
    states: Sequence[str] = ()
    stages: Sequence[str] = ()
    account: str = ""
    due_before: datetime | None = None


class Store(Protocol):
    """Reads that need no unit of work, and units of work."""

    def begin(self) -> AbstractAsyncContextManager[Book]:
        """A unit of work; translated errors of this module leave it."""

    async def find_key(self, merchant: str, key: str) -> Claimed | None:
        """What the key was used for."""

    async def payment(self, merchant: str, name: str) -> Payment | None:
        """One payment with its operations."""

    async def listed(
        self,
        merchant: str,
        *,
        states: list[str] | None,
        merchant_reference: str | None,
        min_time: datetime | None,
        max_time: datetime | None,
        before: tuple[datetime, str] | None,
        count: int,
    ) -> list[Payment]:
        """Payments newest first; `before` is the key of the last one of the page before."""

    async def in_doubt(
        self,
        merchants: Sequence[str] | None,
        *,
        after: tuple[datetime, str, str] | None,
        count: int,
    ) -> list[Payment]:
        """Payments that need evidence, oldest first; of all merchants where None is given.

        `after` is create time, merchant and name of the last one of the page before.
        """

    async def disputes(
        self, wanted: DisputeFilter, *, after: tuple[datetime, str, str] | None, count: int
    ) -> list[tuple[Payment, Dispute]]:
        """Disputes with their payments, those whose evidence is due first at the front.

        `after` is when evidence is due, merchant and name of the last one of the page before.
        """

    async def take_expired_leases(self, limit: int, lease_s: int) -> list[Taken]:
        """Operations whose sender is gone, each now ours under a new lease epoch."""

    async def take_due_questions(
        self, limit: int, *, per_account: int, lease_s: int
    ) -> list[Taken]:
        """Operations that are due to be asked about, each kept from others for `lease_s`."""

    async def plan_question(
        self, payment: Payment, operation: Operation, after_s: int | None
    ) -> None:
        """Count one question and set when the next is due; None ends them."""

    async def cursor(self, source: str, shard: int) -> int:
        """How far a stream was applied."""


# Name of risk's decisions among the streams that are followed by cursor.
RISK_STREAM = "risk"


@dataclass(frozen=True, slots=True)
class CaseDecision:
    """A decision about a case and where it stands in its stream."""

    shard: int
    position: int
    merchant: str
    payment: str
    reviewed: Reviewed


class Risk(Protocol):
    """The risk service."""

    def follow(self, shard: int, after: int, *, timeout_s: float) -> AsyncIterator[CaseDecision]:
        """Decisions of a shard behind a position, as they come, until the time is up."""

    async def assess(
        self, command: CreatePayment, personal: object, *, timeout_s: float
    ) -> Assessment:
        """Risk's decision; a Refusal when it refuses or cannot be reached (nothing happened)."""


@dataclass(frozen=True, slots=True)
class LateOutcome:
    """One late word of a rail and where it stands in its stream."""

    rail: str
    shard: int
    position: int
    merchant: str
    payment: str
    later: Later
    source: str  # what brought it: webhook, chain, file, look_up
    traceparent: str


class Rails(Protocol):
    """All rails together."""

    def accounts(self) -> Sequence[Account]:
        """The accounts of every rail, as last heard; PeerUnavailable when none was ever heard."""

    async def send(
        self, payment: Payment, operation: Operation, *, personal: object, timeout_s: float
    ) -> Outcome:
        """Send one operation; never raises: what is not recognised is LOSE_TRACK.

        `personal` is the request of a caller who still waits, else None: only accounts that have
        to know who pays are told of it.
        """

    async def look_up(
        self, payment: Payment, operation: Operation, *, close_door: bool, timeout_s: float
    ) -> Outcome | None:
        """What became of an operation, or None when nobody could say."""

    def follow(
        self, rail: str, shard: int, after: int, *, timeout_s: float
    ) -> AsyncIterator[LateOutcome]:
        """Late outcomes of a shard behind a position, as they come, until the time is up."""


class Health(Protocol):
    """How well the accounts of every rail are, as last heard; asks nobody."""

    def pictures(self) -> Mapping[str, Picture]:
        """The picture of each rail."""


class Unwatched:
    """Nothing is heard: all accounts are equal."""

    def pictures(self) -> Mapping[str, Picture]:
        """No pictures."""
        return {}


UNWATCHED: Final = Unwatched()


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a flow may touch."""

    store: Store
    risk: Risk
    rails: Rails
    clock: Clock
    failpoint: Callable[[str], Awaitable[None]]
    questions: QuestionPlan
    health: Health = UNWATCHED
