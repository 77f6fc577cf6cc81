"""What the flows need of the world, as the flows see it."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from cashier_common.db.transaction import UnitOfWork
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice
from cashier_gateway.domain.outcome import Answer

Keep: TypeAlias = Callable[[str], Awaitable[None]]
"""Commits the processor's reference in the call's row; LeaseLost when the call is not ours."""


class Processor(Protocol):
    """One account at a processor. It answers what it saw and never guesses.

    Network failures are answers; an exception is a fault of our own and counts as LOSE_TRACK.
    """

    async def send(self, call: Call, keep: Keep) -> Answer:
        """Ask for what `call.request.kind` says. Repeating it for one call moves no money twice."""

    async def look_up(self, call: Call) -> Answer:
        """Ask what became of it. LOSE_TRACK when that cannot be known now."""

    async def close_door(self, call: Call) -> Answer:
        """See to it that nothing more can happen, then tell the truth: CLOSE only with proof.

        The call is fenced: nobody of ours sends it or goes on with it after this. Without a
        request it is a tombstone of what this rail never saw, and therefore never sent. Where the
        processor honours keys, repeating the request is a door as well: its first answer comes
        back, or it happens now and once, and both are the truth. A query alone is no door: an
        owner that was stopped before its first byte may still send, so CLOSE after a query only
        where the processor itself refuses a request that is as old as that.
        """

    def read_notices(self, headers: Mapping[str, str], body: bytes) -> tuple[Notice, ...]:
        """Verify and read one webhook; NoticeRefused says why not, and never a secret."""

    async def close(self) -> None:
        """Let go of connections."""


class Exchange(Protocol):
    """One exchange with a processor, while it is under way; what is not told is not counted."""

    @property
    def refusal(self) -> str:
        """Why it must not be sent now, as a sentence; "" where it may."""

    def tell(self, answer: Answer) -> None:
        """What it came to."""


class Watch(Protocol):
    """Watches over the health of one account: its breaker, its limit and its window."""

    def exchange(self, call: Call) -> AbstractContextManager[Exchange]:
        """Begin to carry the call to the processor."""


class Unwatched:
    """No watch: everything may be sent, and nothing is counted."""

    refusal = ""

    def exchange(self, call: Call) -> AbstractContextManager[Exchange]:  # noqa: ARG002
        return nullcontext(self)

    def tell(self, answer: Answer) -> None:
        """Nobody listens."""


UNWATCHED: Final = Unwatched()


@dataclass(frozen=True, slots=True)
class Terminal:
    """A processor account, the adapter that speaks to it, and who watches over it."""

    account: ProcessorAccount
    processor: Processor
    watch: Watch = UNWATCHED


@dataclass(frozen=True, slots=True)
class Origin:
    """On whose behalf: a caller's SPIFFE id or a worker's name, and the W3C traceparent."""

    actor: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Move:
    """One transition with what an audit reader wants to know of it.

    `source` is ANSWER for what the caller got, and LOOK_UP, RESUME, LATE_ANSWER, VOID or WEBHOOK
    for an outcome that came after the caller's answer: those are told by StreamOutcomes.
    """

    before: Call
    after: Call
    event: Event
    source: str


ANSWER = "ANSWER"
LOOK_UP = "LOOK_UP"
VOIDED = "VOID"  # another operation closed this one
WEBHOOK = "WEBHOOK"
LATE_SOURCES = frozenset({LOOK_UP, "RESUME", "LATE_ANSWER", VOIDED, WEBHOOK})


class Book(Protocol):
    """The rows of the calls. Writes are collected in the unit and leave as one statement."""

    def begin(self) -> UnitOfWork:
        """A unit of work."""

    def add(self, tx: UnitOfWork, call: Call, origin: Origin) -> None:
        """Write a new row and its step; OperationKnown when there is one already."""

    def advance(self, tx: UnitOfWork, move: Move, origin: Origin) -> None:
        """Write a transition and its step; LeaseLost unless lease and version still stand."""

    def keep_reference(self, tx: UnitOfWork, call: Call, reference: str) -> None:
        """Write the processor's reference; LeaseLost unless the lease and the fence still stand."""

    async def lock(self, tx: UnitOfWork, *, merchant: str, operation: str) -> Call | None:
        """The row, locked until the unit ends, or None."""

    async def find(self, *, merchant: str, operation: str) -> Call | None:
        """The row as it stands, or None."""

    async def take_over(self, call: Call) -> Call | None:
        """Lease a call whose lease has lapsed; None when somebody else was faster or it rests."""

    async def list_abandoned(self, limit: int) -> list[Call]:
        """Calls left SUBMITTING whose lease has lapsed, oldest first."""
