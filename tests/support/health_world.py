"""Processors, a gateway and a router in virtual time, of the real parts: a minute is milliseconds.

What is real: monitor, wards, weights, breaker, the router's picture and its order. What is not: the
processors, the wire between gateway and router (a delay) and the clock.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from cashier_common.health.monitor import Monitor
from cashier_common.health.reading import Reading
from cashier_common.health.tally import Result
from cashier_common.health.ward import Exchange
from cashier_router.domain.health import Picture
from cashier_router.domain.ordering import arrange

RATE_PER_S = 20
STEP_S = 0.05
TURN_EVERY = 4  # steps: the gateway's 200 ms
TICK_EVERY = 5  # the router's 250 ms
NEWS_DELAY_S = 0.05
TIMEOUT_S = 10.0
SEGMENT = "CARD/USD/NA"
LIMIT = 100


@dataclass
class Time:
    """A clock that moves when it is told to."""

    at_s: float = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        return self.at_s


@dataclass(frozen=True)
class Weather:
    """How a processor is: it answers after so long, a share of its answers are faults, it hangs."""

    took_s: float = 0.3
    fault_share: float = 0.01
    hangs: bool = False


FINE = Weather()
DEAD = Weather(took_s=0.005, fault_share=1.0)
HANGING = Weather(hangs=True)
SLOW = Weather(took_s=2.4)
ILL = Weather(took_s=0.3, fault_share=0.55)


@dataclass(frozen=True)
class Account:
    """A candidate."""

    account: str
    rail: str = "gateway"


@dataclass
class Routed:
    """A payment: when it came, and every account in the order tried; `sent` reached one."""

    at_s: float
    first: str
    sent: list[str] = field(default_factory=list)
    paid: bool = False


class World:
    """Some accounts, cheapest first; `sky` says how each is at a time."""

    def __init__(
        self, seed: int, names: tuple[str, ...], sky: Callable[[str, float], Weather]
    ) -> None:
        self._rng = random.Random(seed)
        self._time, self._sky = Time(1_000 + self._rng.random()), sky
        self._began_s = self._time.at_s
        self._accounts = [Account(name) for name in names]
        self._monitor = Monitor(
            "gateway", self._time, None, chance_ppm=lambda: self._rng.randrange(1_000_000)
        )
        for name in names:
            self._monitor.watch(name)
        self._ends: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.picture = Picture()
        self.routed: list[Routed] = []
        self.shares: list[dict[str, int]] = []

    @property
    def age_s(self) -> float:
        return self._time.at_s - self._began_s

    def run(self, for_s: float) -> "World":
        """Let time pass: payments come, answers come, news travel."""
        asyncio.run(self._run(for_s))
        return self

    async def _run(self, for_s: float) -> None:
        due_s = self._time.at_s
        for step in range(int(for_s / STEP_S)):
            self._time.at_s += STEP_S
            while self._ends and self._ends[0][0] <= self._time.at_s:
                heapq.heappop(self._ends)[2]()
            while due_s <= self._time.at_s:
                self._pay()
                due_s += self._rng.expovariate(RATE_PER_S)
            if step % TURN_EVERY == 0:
                before = self._monitor.readings()
                await self._monitor.turn()
                news = shared(self._monitor.readings())
                if news != before:
                    self._later(NEWS_DELAY_S, partial(self._hear, news))
            if step % TICK_EVERY == 0:
                self.picture = self.picture.later(int(TICK_EVERY * STEP_S * 1_000))
                self.shares.append(
                    {
                        one: standing.share_ppm
                        for (one, part), standing in self.picture.standings.items()
                        if not part
                    }
                )

    def _hear(self, news: list[Reading]) -> None:
        self.picture = self.picture.heard(news)

    def _later(self, after_s: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._ends, (self._time.at_s + after_s, next(self._numbers), do))

    def _pay(self) -> None:
        name = f"payments/pay_{self._rng.getrandbits(64):x}"
        order = arrange(self._accounts, SEGMENT, {"gateway": self.picture}, name)
        plan = [self._accounts[i].account for i in order.kept]
        routed = Routed(self.age_s, plan[0])
        self.routed.append(routed)
        self._try(routed, plan)

    def _try(self, routed: Routed, plan: list[str]) -> None:
        if not plan:
            return
        name, *rest = plan
        exchange = self._monitor.exchange(name, SEGMENT, is_new=True, limit=LIMIT)
        exchange.__enter__()
        if exchange.stop is not None:
            self._try(routed, rest)
            return
        routed.sent.append(name)
        weather = self._sky(name, self.age_s)
        if weather.hangs:
            self._later(TIMEOUT_S, lambda: self._end(exchange, Result.TIMED_OUT))
            return  # in doubt: no second account
        took_s = weather.took_s * self._rng.lognormvariate(0, 0.25)
        if self._rng.random() < weather.fault_share:
            self._later(took_s, lambda: self._fail(exchange, routed, rest))
        else:
            routed.paid = True
            self._later(took_s, lambda: self._end(exchange, Result.SUCCESS))

    def _fail(self, exchange: Exchange, routed: Routed, rest: list[str]) -> None:
        self._end(exchange, Result.FAILED)
        self._try(routed, rest)

    def _end(self, exchange: Exchange, result: Result) -> None:
        exchange.tell(result)
        exchange.__exit__(None, None, None)


def shared(readings: list[Reading]) -> list[Reading]:
    """The same as all replicas would tell it: this one stands for them."""
    return [Reading(r.scope, r.segment, r.weight_ppm, r.state, True) for r in readings]
