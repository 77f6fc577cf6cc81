"""Pull the router's events and post them; one feed per shard, each with its own stream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from cashier_common.errors import PeerUnavailable, RaceLost, Refusal, StoreUnavailable
from cashier_recon.domain.errors import EventUnbookable
from cashier_recon.domain.posting import FedEvent
from cashier_recon.flows.ports import BeginPost, EventSource
from cashier_recon.flows.post_events import post_events

BATCH_MAX = 500  # events in one transaction: some 60 ms of the database's time
QUEUE_MAX = 1_000  # events read ahead; beyond it the stream's flow control slows the router
LINGER_S = 0.1  # how long a batch waits for company: books may be this late, and cost less
IDLE_S = 1.0  # how long one step waits for a first event
BACK_OFF_FIRST_S = 0.5
BACK_OFF_MAX_S = 15.0
STOPPED_RETRY_S = (
    30.0  # how often an event that cannot be booked is tried, and complained of, again
)
_log = structlog.get_logger(__name__)


class Feed:
    """One shard's stream. `step` is a worker's: it answers how many events it posted."""

    def __init__(self, shard: int, *, source: EventSource, begin: BeginPost) -> None:
        self.shard = shard
        self.stopped_by: EventUnbookable | None = None
        """The event in front of which this shard stands still; for readiness and summaries."""
        self._source = source
        self._begin = begin
        self._queue: asyncio.Queue[FedEvent] = asyncio.Queue(QUEUE_MAX)
        self._reader: asyncio.Task[None] | None = None
        self._after = 0
        self._back_off_s = BACK_OFF_FIRST_S

    async def step(self) -> int:
        """Post one batch. Faults of the network, the router or the database end the stream only.

        A new stream starts at the cursor, so nothing is lost or posted twice.
        """
        try:
            if self._reader is None:
                await self._open()
            batch = await self._batch()
            if not batch:
                return 0
            posting = await post_events(
                batch, shard=self.shard, after=self._after, begin=self._begin
            )
        except (PeerUnavailable, StoreUnavailable, RaceLost) as error:
            await self._wait_out(error)
            return 0
        except Refusal as error:  # a cursor that the router no longer serves: a person must look
            _log.critical("feed_refused", shard=self.shard, error=str(error))
            await self._wait_out(error)
            return 0
        except BaseException:
            await self.close()
            raise
        posted = posting.position - self._after
        self._after, self._back_off_s = posting.position, BACK_OFF_FIRST_S
        self.stopped_by = posting.stopped_by
        if posting.stopped_by is not None:
            _log.critical("feed_stopped", shard=self.shard, error=str(posting.stopped_by))
            await self.close()
            await asyncio.sleep(STOPPED_RETRY_S)
        return posted

    async def close(self) -> None:
        """End the stream and forget what was read ahead."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reader
        self._queue = asyncio.Queue(QUEUE_MAX)

    async def _open(self) -> None:
        async with self._begin() as unit:
            self._after = await unit.cursor(self.shard)
        events = self._source.events(self.shard, after=self._after)
        self._reader = asyncio.create_task(
            _pump(events, self._queue), name=f"feed-{self.shard}-reader"
        )

    async def _batch(self) -> list[FedEvent]:
        first = await self._first()
        if first is None:
            return []
        batch = [first]
        if self._queue.qsize() < BATCH_MAX:
            await asyncio.sleep(LINGER_S)
        while len(batch) < BATCH_MAX and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    async def _first(self) -> FedEvent | None:
        """The next event; None when none came in time. What ended the stream is raised here."""
        if not self._queue.empty():
            return self._queue.get_nowait()
        reader = self._reader
        getter = asyncio.ensure_future(self._queue.get())
        waited = {getter} if reader is None else {getter, reader}
        try:
            await asyncio.wait(waited, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                return getter.result()
        finally:
            getter.cancel()
        if reader is not None and reader.done():
            self._reader = None
            reader.result()
        return None

    async def _wait_out(self, error: Exception) -> None:
        await self.close()
        _log.warning(
            "feed_waits", shard=self.shard, error=str(error), seconds=round(self._back_off_s, 2)
        )
        await asyncio.sleep(self._back_off_s)
        self._back_off_s = min(self._back_off_s * 2, BACK_OFF_MAX_S)


async def _pump(events: AsyncIterator[FedEvent], queue: asyncio.Queue[FedEvent]) -> None:
    async for event in events:
        await queue.put(event)
