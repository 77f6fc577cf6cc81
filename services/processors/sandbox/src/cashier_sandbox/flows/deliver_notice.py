"""Tell the merchant's endpoints what happened, signed, repeated until somebody takes it.

One piece for every imitated API: an API hands in a `Face` (in `processors/imitation.py`), which
writes the notices of a piece of news in its own format and signs them in its own way; what goes
wrong with them (`domain.notice.Mischief`) is done here, to all APIs alike. Endpoints
stand in the ledger (`Kind.ENDPOINT`, folded into `desk.book.endpoints`), so they survive a restart;
what was not delivered does not.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from cashier_sandbox.domain.chance import MILLION_PPM, draw_ppm
from cashier_sandbox.domain.notice import Endpoint, News, Notice, Trick, altered
from cashier_sandbox.flows.desk import Desk

# 0.5 + 1 + 2 + 4 + 8 + 8 + … s: a receiver may be away for more than a minute, as after a restart
# of everything, and hears of it within seconds when it is back.
TRIES_MAX = 12
BACK_OFF_FIRST_S = 0.5
BACK_OFF_MAX_S = 8.0
# What a crash of ours may have left undelivered; who got it already gets it twice.
RETOLD_S = 75.0
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


@dataclass(slots=True)
class Tally:
    """What became of one account's notices; `falsely_taken` has to stay at nothing.

    That is how many were taken although no endpoint of the account could have verified them.
    """

    delivered: int = 0
    given_up: int = 0
    falsely_taken: int = 0
    tricks: Counter[Trick] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sending:
    """One notice on its way to one address: signed for `signer`, in the order of `number`."""

    notice: Notice
    url: str
    signer: Endpoint
    number: int
    tries: int = TRIES_MAX
    is_false: bool = False


class Deliveries:
    """The notices of one account that are under way.

    `strangers` answers the endpoints of other accounts that speak the same API.
    """

    def __init__(
        self, desk: Desk, face: Face, postman: Postman, strangers: Callable[[], Sequence[Endpoint]]
    ) -> None:
        self._desk, self.face, self._postman = desk, face, postman
        self._strangers = strangers
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(POSTS_AT_ONCE)
        self._released = asyncio.Event()
        self._sent = 0
        self._newest: dict[str, int] = {}  # by address: the number of the newest that was taken
        self.tally = Tally()

    @property
    def outstanding(self) -> int:
        """How many notices are under way, those that are kept back included."""
        return len(self._tasks)

    def tell(self, news: News) -> None:
        """Send what the news is worth to every endpoint that wants it; never waits."""
        if not self._desk.book.endpoints:
            return
        notices = self.face.write(self._desk, news)
        if self._plays(Trick.ALTER, str(news.entry.seq)):
            lies = self.face.write(self._desk, altered(news))
            changed = sum(lie.body != true.body for lie, true in zip(lies, notices, strict=True))
            self.tally.tricks[Trick.ALTER] += changed
            notices = lies
        for notice in notices:
            self.send(notice)

    def tell_again(self, since: str) -> None:
        """Send everything that happened since then (RFC 3339), after a start of the sandbox."""
        for news in self._desk.book.news:
            if news.entry.at >= since:
                self.tell(news)

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
        self._sent += 1
        true = _Sending(notice=notice, url=endpoint.url, signer=endpoint, number=self._sent)
        self._run(true)
        for trick, sending in self._tricks(true):
            if self._plays(trick, notice.id):
                self.tally.tricks[trick] += 1
                self._run(sending)

    def _tricks(self, true: _Sending) -> Iterator[tuple[Trick, _Sending]]:
        strangers, own = self._strangers(), true.signer
        false = replace(true, tries=1, is_false=True)
        yield Trick.DOUBLE, true
        yield Trick.FORGE, replace(false, signer=replace(own, secret=own.secret[::-1]))
        # An account that is alone with its API gets a secret that another one would have.
        secret = strangers[0].secret if strangers else self.face.secret(f"not {own.id}")
        yield Trick.FOREIGN, replace(false, signer=replace(own, secret=secret))
        if strangers:
            yield Trick.ASTRAY, replace(true, url=strangers[0].url, signer=strangers[0], tries=1)

    def _run(self, sending: _Sending) -> None:
        if len(self._tasks) >= OUTSTANDING_MAX:
            self.tally.given_up += 1
            _log.warning(
                "notice.dropped", account=self._desk.account.name, notice=sending.notice.id
            )
            return
        task = asyncio.create_task(self._deliver(sending))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, sending: _Sending) -> None:
        notice, signer = sending.notice, sending.signer
        await self._dawdle(notice)
        body = self.face.seal(signer, notice.body)
        for number in range(sending.tries):
            if number:
                await asyncio.sleep(min(BACK_OFF_FIRST_S * 2 ** (number - 1), BACK_OFF_MAX_S))
            headers = self.face.sign(signer, body, int(time.time()))
            async with self._at_once:
                status = await self._postman.post(sending.url, headers, body)
            if status is not None and self.face.taken(status):
                self._count(sending)
                return
        if not sending.is_false:
            self.tally.given_up += 1
            _log.warning("notice.given_up", account=self._desk.account.name, notice=notice.id)

    def _count(self, sending: _Sending) -> None:
        if sending.is_false:
            self.tally.falsely_taken += 1
            _log.error(
                "notice.falsely_taken",
                account=self._desk.account.name,
                notice=sending.notice.id,
            )
            return
        self.tally.delivered += 1
        newest = self._newest.get(sending.url, 0)
        self.tally.tricks[Trick.REORDER] += sending.number < newest
        self._newest[sending.url] = max(sending.number, newest)

    async def _dawdle(self, notice: Notice) -> None:
        while self._desk.conditions.mischief.withhold:
            await self._released.wait()
        mischief = self._desk.conditions.mischief
        scatter_ms = mischief.scatter_ms * self._draw("scatter", notice.id) // MILLION_PPM
        delay_s = (mischief.late_ms + scatter_ms) / 1000
        if delay_s:
            await asyncio.sleep(delay_s)

    def _plays(self, trick: Trick, name: str) -> bool:
        return self._draw(trick, name) < self._desk.conditions.mischief.share_ppm(trick)

    def _draw(self, what: str, name: str) -> int:
        return draw_ppm(self._desk.seed, self._desk.account.name, what, name)
