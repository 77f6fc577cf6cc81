"""What the flows need of the world; storage and clients provide it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from cashier_recon.domain.bridge import Cell
from cashier_recon.domain.consequences import Consequences
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.import_result import Statement
from cashier_recon.domain.journal import Journal
from cashier_recon.domain.lifecycle import ExpectationState
from cashier_recon.domain.posting import FedEvent
from cashier_recon.domain.recon_exception import ReconException
from cashier_recon.domain.run_plan import Item, Payout, Refused, Run, Waiting
from cashier_recon.domain.statement import Line, RejectedRow


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


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key, who used it for what, and SHA-256 over the parsed request."""

    key: str
    caller: str
    method: str
    fingerprint: bytes
    traceparent: str


class Lock(Protocol):
    """One process at a time; freed when its holder dies."""

    def __call__(self, name: str) -> AbstractAsyncContextManager[None]:
        """Waits a little, then raises the refusal that fits the lock."""


class KeyUnit(Protocol):
    """What every unit offers that a caller started."""

    async def claimed(self, key: Key) -> str | None:
        """The resource that the key made before; IdempotencyKeyReused for another request."""

    def claim(self, key: Key, resource: str) -> None: ...

    def add_step(
        self,
        *,
        subject: str,
        version: int,
        actor: str,
        action: str,
        after: str,
        payload: Mapping[str, object],
        before: str = "",
        merchant: str = "",
        traceparent: str = "",
    ) -> None: ...


class ImportUnit(KeyUnit, Protocol):
    """A unit that imports."""

    async def statement(self, statement_id: str) -> Statement | None: ...

    async def known_lines(self, lines: Sequence[Line]) -> dict[str, tuple[bytes, str]]: ...

    def add_lines(self, statement_id: str, lines: Sequence[Line]) -> None: ...

    def add_rejected(
        self, statement_id: str, processor_account: str, rows: Sequence[RejectedRow]
    ) -> None: ...

    def add_statement(self, statement: Statement) -> None: ...

    def add_quarantined_file(self, statement_id: str, content: bytes) -> None: ...


class RunUnit(KeyUnit, Protocol):
    """A unit of a run."""

    async def run(self, run_id: str) -> Run | None: ...

    async def running(self) -> Run | None: ...

    def add_run(self, run: Run) -> None: ...

    async def waiting_lines(self, run: Run, *, after: str, limit: int) -> list[Waiting]: ...

    async def candidates(self, lines: Sequence[Waiting]) -> list[Expectation]: ...

    async def overdue(self, run: Run, *, after: str, limit: int) -> list[Expectation]: ...

    async def refused_rows(self, run: Run) -> list[Refused]: ...

    async def payouts(self, run: Run) -> list[Payout]: ...

    def forget_items(self, run_id: str) -> None: ...

    def add_items(self, run_id: str, items: Sequence[Item]) -> None: ...

    async def expected_sums(self, run_id: str) -> dict[Cell, int]: ...

    async def observed_sums(self, run_id: str) -> dict[Cell, int]: ...

    def mark_planned(self, run: Run) -> None: ...

    async def open_items(self, run_id: str, limit: int) -> list[Item]: ...

    async def items(self, run_id: str, *, after: int, limit: int) -> list[Item]: ...

    async def apply(
        self, run: Run, items: Sequence[Item], done: Sequence[Consequences]
    ) -> None: ...

    def finish(self, run: Run) -> None: ...


class ExceptionUnit(KeyUnit, Protocol):
    """A unit that decides about an exception."""

    async def exception(self, exception_id: str) -> ReconException | None: ...

    def move_exception(self, before: ReconException, after: ReconException) -> None:
        """Compare-and-set on the version; EtagMismatch when somebody was faster."""

    def add_journals(self, booked: Sequence[Journal]) -> None: ...

    async def standing(self, operations: Sequence[str]) -> dict[str, Expectation]: ...

    def park_line(self, line_id: str) -> None:
        """No later run may find an operation for a line that was written off."""

    def move_expectation(
        self, operation: str, before: ExpectationState, after: ExpectationState
    ) -> None: ...


BeginImport = Callable[[], AbstractAsyncContextManager[ImportUnit]]
BeginRun = Callable[[], AbstractAsyncContextManager[RunUnit]]
BeginDecision = Callable[[], AbstractAsyncContextManager[ExceptionUnit]]
