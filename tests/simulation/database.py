"""A database server as PostgreSQL behaves: units, row locks, and commits whose answer is lost."""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from cashier_common.db.failures import CommitUnknown
from cashier_common.errors import RaceLost, StoreUnavailable
from tests.simulation.loop import PROCESS, VirtualLoop, outside_task

T = TypeVar("T")

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
# As `cashier_common.db.engine` sets them.
LOCK_TIMEOUT_S, TRANSACTION_TIMEOUT_S, STATEMENT_WAIT_S = 2.0, 5.0, 3.5


@dataclass(frozen=True, slots=True)
class Write:
    """One collected write: the rows that it locks, what may refuse it, and what it does."""

    rows: tuple[Hashable, ...]
    refuse: Callable[[], Exception | None]
    apply: Callable[[], None]


class Database:
    """The server. It outlives every client; `crash` is its own restart."""

    def __init__(self, name: str, loop: VirtualLoop, rng: random.Random) -> None:
        self.name = name
        self.loop = loop
        self.rng = rng
        self.lost_answer_ppm = 0
        self._holders: dict[Hashable, Unit] = {}
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._open: set[Unit] = set()
        self._down_until = 0.0

    def now(self) -> datetime:
        """The database's clock: the only one that leases know."""
        return EPOCH + timedelta(seconds=self.loop.time())

    def is_locked(self, row: Hashable) -> bool:
        """For SKIP LOCKED."""
        return row in self._holders

    def begin(self) -> "Unit":
        """A unit of work of the process that asks."""
        return Unit(self)

    def crash(self, down_s: float) -> None:
        """Restart: open units are rolled back, answers under way are lost."""
        self._down_until = self.loop.time() + down_s
        for unit in list(self._open):
            unit.is_aborted = True
            self.release(unit)

    async def read(self, look: Callable[[], T]) -> T:
        """One statement of its own: there and back again."""
        await self.trip()
        self.require_up()
        found = look()
        await self.trip()
        return found

    async def run(self, write: Write) -> None:
        """One write of its own, autocommitted."""
        unit = self.begin()
        unit.write(write)
        await unit.commit()

    async def trip(self) -> None:
        """Over the network to the server, or back: somewhere on the way everything can happen."""
        await asyncio.sleep(self.rng.uniform(0.0002, 0.003))

    def require_up(self) -> None:
        """StoreUnavailable while the server is away."""
        if self.loop.time() < self._down_until:
            raise StoreUnavailable

    def opened(self, unit: "Unit") -> None:
        """BEGIN: the server ends it when its client dies or dawdles."""
        self._open.add(unit)
        process = PROCESS.get()
        if process is not None:
            process.on_death[unit] = lambda: self._abandon(unit)
            unit.forget = lambda: process.on_death.pop(unit, None)
        self.loop.outside(TRANSACTION_TIMEOUT_S, self._abandon, unit)

    def _abandon(self, unit: "Unit") -> None:
        if unit in self._open and not unit.is_sent:
            unit.is_aborted = True
            self.release(unit)

    async def lock(self, row: Hashable, unit: "Unit") -> None:
        """Wait for a row's lock; RaceLost when it takes too long."""
        ends_s = self.loop.time() + LOCK_TIMEOUT_S
        while (holder := self._holders.get(row)) is not None and holder is not unit:
            turn: asyncio.Future[None] = self.loop.create_future()
            self._waiting[row].append(turn)
            timer = self.loop.call_at(ends_s, _give_up, turn)
            await turn
            timer.cancel()
            if self.loop.time() >= ends_s:
                raise RaceLost(name=f"a row of {self.name}")
        if unit.is_aborted:
            raise StoreUnavailable
        self._holders[row] = unit
        unit.held.add(row)

    def release(self, unit: "Unit") -> None:
        """End of the unit: whoever waits for its rows looks again."""
        self._open.discard(unit)
        unit.forget()
        for row in unit.held:
            del self._holders[row]
            for turn in self._waiting.pop(row, ()):
                if not turn.done():
                    turn.set_result(None)
        unit.held = set()

    async def execute(self, unit: "Unit", answer: "asyncio.Future[Exception | None]") -> None:
        """The server's side of a commit: it happens whether or not the client still lives."""
        lost = self.rng.randrange(1_000_000)
        error: Exception | None = None
        try:
            for write in unit.writes:
                for row in write.rows:
                    await self.lock(row, unit)
            error = next((e for w in unit.writes if (e := w.refuse()) is not None), None)
            if error is None:
                await asyncio.sleep(self.rng.uniform(0.0005, 0.004))  # the log is flushed
                if unit.is_aborted or lost < self.lost_answer_ppm // 2:
                    error = CommitUnknown(self.name)  # the server died before it
                else:
                    for write in unit.writes:
                        write.apply()
                    if self.loop.time() < self._down_until or lost < self.lost_answer_ppm:
                        error = CommitUnknown(self.name)  # and this one after it
        except RaceLost as refused:
            error = refused
        except StoreUnavailable:
            error = CommitUnknown(self.name)  # its connection went away with the server
        self.release(unit)
        wait_s = STATEMENT_WAIT_S if isinstance(error, CommitUnknown) else 0.001
        self.loop.outside(wait_s, _set, answer, error)


class Unit:
    """`async with database.begin() as tx`: all of it happens or nothing does."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.writes: list[Write] = []
        self.held: set[Hashable] = set()
        self.is_aborted = self.is_sent = self._is_open = False
        self.forget: Callable[[], object] = lambda: None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.database.release(self)
        else:
            await self.commit()

    async def lock(self, row: Hashable) -> None:
        """SELECT … FOR UPDATE."""
        await self.database.trip()
        self.database.require_up()
        self._require_open()
        await self.database.lock(row, self)
        await self.database.trip()

    async def read(self, look: Callable[[], T]) -> T:
        """A statement inside of the transaction."""
        await self.database.trip()
        self.database.require_up()
        self._require_open()
        return look()

    def write(self, write: Write) -> None:
        """Collect a write."""
        self.writes.append(write)

    async def commit(self) -> None:
        """Send everything as one statement; the failures are those of `UnitOfWork`."""
        if not self.writes:
            self.database.release(self)
            return
        await self.database.trip()
        self._require_open()
        self.database.require_up()
        self.is_sent = True
        loop = self.database.loop
        answer: asyncio.Future[Exception | None] = loop.create_future()
        outside_task(loop, self.database.execute(self, answer))
        error = await answer
        if error is not None:
            raise error

    def _require_open(self) -> None:
        if self.is_aborted:
            raise StoreUnavailable
        if not self._is_open:
            self._is_open = True
            self.database.opened(self)


def _give_up(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_result(None)


def _set(answer: "asyncio.Future[Exception | None]", error: Exception | None) -> None:
    if not answer.done():
        answer.set_result(error)
