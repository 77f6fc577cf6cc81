"""What the flows need of the world, declared by the flows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cashier_common.clock import Clock
from cashier_router.domain.payment import CreatePayment, Operation, Payment
from cashier_router.domain.progress import Assessment, Outcome, Step
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
    """The payment changed, or the lease is somebody else's: nothing was written."""


class CommitUnknownError(Exception):
    """The connection was lost while committing: the unit happened as a whole or not at all."""


class Book(Protocol):
    """One unit of work; everything collected happens together or not at all, when it is left."""

    def claim(self, command: CreatePayment) -> None:
        """Claim the command's idempotency key; KeyTakenError on leaving when it is taken."""

    def add(self, payment: Payment, step: Step, actor: Actor, *, lease_s: int) -> None:
        """Write a new payment, its operations and its first step."""

    def move(
        self, before: Payment, after: Payment, step: Step, actor: Actor, *, lease_s: int
    ) -> None:
        """Compare-and-set `before` to `after` under the lease, with its step."""

    def advance_cursor(self, source: str, shard: int, *, seen: int, position: int) -> None:
        """Move a stream's cursor; MovedOnError on leaving when another replica moved it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an idempotency key was used for."""

    payment: str
    fingerprint: bytes


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

    async def take_expired_leases(self, limit: int, lease_s: int) -> list[Payment]:
        """Payments whose owner is gone, each now ours under a new lease epoch."""

    async def take_due_doubts(self, limit: int, lease_s: int) -> list[Payment]:
        """Payments with an operation in doubt that is due to be asked about, each now ours."""

    async def plan_question(
        self, payment: Payment, operation: Operation, after_s: int | None
    ) -> None:
        """Count one question about a doubt and set when the next is due; None ends them."""

    async def cursor(self, source: str, shard: int) -> int:
        """How far a stream was applied."""


class Risk(Protocol):
    """The risk service."""

    async def assess(
        self, command: CreatePayment, personal: object, *, timeout_s: float
    ) -> Assessment:
        """Risk's decision; a Refusal when it refuses or cannot be reached (nothing happened)."""


@dataclass(frozen=True, slots=True)
class LateOutcome:
    """One late outcome and where it stands in its stream."""

    rail: str
    shard: int
    position: int
    merchant: str
    payment: str
    number: int
    outcome: Outcome
    taken_back: bool  # the rail undid what it had done
    source: str  # what brought it: webhook, chain, file, look_up
    traceparent: str


class Rails(Protocol):
    """All rails together."""

    def accounts(self) -> Sequence[Account]:
        """The accounts of every rail, as last heard; PeerUnavailable when none was ever heard."""

    async def authorize(
        self, payment: Payment, operation: Operation, *, timeout_s: float
    ) -> Outcome:
        """Send one operation; never raises: what is not recognised is LOSE_TRACK."""

    async def look_up(
        self, payment: Payment, operation: Operation, *, close_door: bool, timeout_s: float
    ) -> Outcome | None:
        """What became of an operation, or None when nothing new was learnt."""

    def follow(
        self, rail: str, shard: int, after: int, *, timeout_s: float
    ) -> AsyncIterator[LateOutcome]:
        """Late outcomes of a shard behind a position, as they come, until the time is up."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a flow may touch."""

    store: Store
    risk: Risk
    rails: Rails
    clock: Clock
    failpoint: Callable[[str], Awaitable[None]]
