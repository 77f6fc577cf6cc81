"""Tell the merchant's endpoints what happened, signed, repeated until somebody takes it.

One piece for every imitated API: an API hands in a `Face` (in `processors/imitation.py`), which
writes the notices of a piece of news in its own format and signs them in its own way. Endpoints
stand in the ledger (`Kind.ENDPOINT`, folded into `desk.book.endpoints`), so they survive a restart;
what was not delivered does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from cashier_sandbox.domain.chance import MILLION_PPM, draw_ppm
from cashier_sandbox.domain.notice import Endpoint, News, Notice
from cashier_sandbox.flows.desk import Desk

# 0.5 + 1 + 2 + … + 32 s: a receiver may be away for a minute, as after a restart of everything.
TRIES_MAX = 8
BACK_OFF_FIRST_S = 0.5
# What is under way for one account; more is dropped and said so in the log.
OUTSTANDING_MAX = 10_000
POSTS_AT_ONCE = 16

_log = structlog.get_logger()


class Postman(Protocol):
    """What carries a notice."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """Return the status of the answer, None where there was none in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """How an imitated API tells things.

    `write` returns the notices of a piece of news, none where it is no news for merchants; it is
    called right after the ledger line, so it may look at the desk's book but must not wait.
    `sign` returns the headers of one sending: (endpoint, body, Unix seconds) → headers.
    `secret` makes the secret of a new endpoint that was registered without one, from its id.
    `seal` returns the bytes that one endpoint gets, where the API signs inside the body.
    `taken` says whether an answer means that the notice was taken (its status is 2xx by default).
    """

    write: Callable[[Desk, News], Sequence[Notice]]
    sign: Callable[[Endpoint, bytes, int], Mapping[str, str]]
    secret: Callable[[str], str]
    seal: Callable[[Endpoint, bytes], bytes] = lambda _endpoint, body: body
    taken: Callable[[int], bool] = lambda status: 200 <= status < 300  # noqa: PLR2004


class Deliveries:
    """The notices of one account that are under way."""

    def __init__(self, desk: Desk, face: Face, postman: Postman) -> None:
        self._desk, self.face, self._postman = desk, face, postman
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(POSTS_AT_ONCE)
        self._released = asyncio.Event()
        self.delivered = 0
        self.given_up = 0

    @property
    def outstanding(self) -> int:
        """How many notices are under way, those that are kept back included."""
        return len(self._tasks)

    def tell(self, news: News) -> None:
        """Send what the news is worth to every endpoint that wants it; never waits."""
        if not self._desk.book.endpoints:
            return
        for notice in self.face.write(self._desk, news):
            self.send(notice)

    def send(self, notice: Notice) -> None:
        """Send one notice, again or for the first time, to every endpoint that wants it."""
        for endpoint in self._desk.book.endpoints.values():
            if endpoint.wants(notice.type):
                self._start(endpoint, notice)

    def mind(self) -> None:
        """Look at the desk's mischief again: what was withheld leaves if it no longer is."""
        if not self._desk.conditions.mischief.withhold:
            self._released.set()
            self._released = asyncio.Event()

    async def stop(self) -> None:
        """Forget everything that is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, endpoint: Endpoint, notice: Notice) -> None:
        mischief = self._desk.conditions.mischief
        if self._draw("forge", notice) < mischief.forge_ppm:
            self._run(replace(endpoint, secret=_foreign(endpoint)), notice, tries=1)
        self._run(endpoint, notice, tries=TRIES_MAX)
        if self._draw("double", notice) < mischief.double_ppm:
            self._run(endpoint, notice, tries=TRIES_MAX)

    def _run(self, endpoint: Endpoint, notice: Notice, *, tries: int) -> None:
        if len(self._tasks) >= OUTSTANDING_MAX:
            self.given_up += 1
            _log.warning("notice.dropped", account=self._desk.account.name, notice=notice.id)
            return
        task = asyncio.create_task(self._deliver(endpoint, notice, tries))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, endpoint: Endpoint, notice: Notice, tries: int) -> None:
        await self._dawdle(notice)
        body = self.face.seal(endpoint, notice.body)
        for number in range(tries):
            if number:
                await asyncio.sleep(BACK_OFF_FIRST_S * 2 ** (number - 1))
            headers = self.face.sign(endpoint, body, int(time.time()))
            async with self._at_once:
                status = await self._postman.post(endpoint.url, headers, body)
            if status is not None and self.face.taken(status):
                self.delivered += 1
                return
        self.given_up += 1
        _log.warning("notice.given_up", account=self._desk.account.name, notice=notice.id)

    async def _dawdle(self, notice: Notice) -> None:
        while self._desk.conditions.mischief.withhold:
            await self._released.wait()
        mischief = self._desk.conditions.mischief
        scatter_ms = mischief.scatter_ms * self._draw("scatter", notice) // MILLION_PPM
        delay_s = (mischief.late_ms + scatter_ms) / 1000
        if delay_s:
            await asyncio.sleep(delay_s)

    def _draw(self, what: str, notice: Notice) -> int:
        return draw_ppm(self._desk.seed, self._desk.account.name, what, notice.id)


def _foreign(endpoint: Endpoint) -> str:
    """A secret of the same form that is not the endpoint's."""
    return endpoint.secret[::-1]
