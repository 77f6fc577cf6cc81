"""What the flows need of the world; storage and clients provide it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.journal import Journal
from cashier_recon.domain.payment_fact import FedEvent


class EventSource(Protocol):
    """The router's sealed events."""

    def events(self, shard: int, *, after: int) -> AsyncIterator[FedEvent]:
        """Events behind `after`, in order, for as long as the router keeps the stream open.

        PeerUnavailable when it cannot be reached or does not serve events yet.
        """


class PostUnit(Protocol):
    """A unit that posts events."""

    async def cursor(self, shard: int) -> int:
        """The position that the books of this shard stand at."""

    async def standing(self, operations: Sequence[str]) -> dict[str, Expectation]: ...

    def add_journals(self, booked: Sequence[Journal]) -> None: ...

    def write_expectations(self, batch: Sequence[Expectation]) -> None: ...

    def move_cursor(self, shard: int, *, after: int, to: int) -> None:
        """Move the cursor; the unit fails with RaceLost if it does not stand at `after`."""


class AlreadyBooked(Exception):
    """Something of the unit stands in the books already; nothing was written."""


BeginPost = Callable[[], AbstractAsyncContextManager[PostUnit]]
