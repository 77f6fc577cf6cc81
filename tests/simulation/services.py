"""The real router and gateway, each process composed as `app.py` does, on simulated ports."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cashier_common.db.audit import SHARD_COUNT
from cashier_common.errors import IdempotencyKeyReused, Kind, PeerUnavailable, Refusal
from cashier_common.health.monitor import Monitor
from cashier_common.tasks import TaskGroup
from cashier_gateway.flows.look_up import LookUp
from cashier_gateway.flows.ports import Terminal
from cashier_gateway.flows.submit import Submit
from cashier_gateway.flows.take_notice import TakeNotice
from cashier_gateway.flows.under_way import UnderWay
from cashier_gateway.rpc.gateway_servicer import GatewayServicer
from cashier_gateway.workers.inbox import Postman
from cashier_gateway.workers.resume import Resumer
from cashier_router.clients.rails import RailClients
from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.payment import Payment
from cashier_router.domain.progress import Assessment, RiskDecision
from cashier_router.domain.questions import QuestionPlan, Schedule
from cashier_router.flows.ports import MovedOnError, World
from cashier_router.rpc.run_wish import Flow, run_wish
from cashier_router.settings import RouterSettings
from cashier_router.workers.outcomes import OutcomePull
from cashier_router.workers.progress import Janitor, Progress
from tests.simulation.database import EPOCH
from tests.simulation.faults import Faults
from tests.simulation.gateway_book import GatewayBook
from tests.simulation.inbox import Inbox
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Channel, Service
from tests.simulation.router_store import RouterStore

ROUTER = "spiffe://cashier.local/service/router"
QUESTIONS = QuestionPlan(
    doubt=Schedule(
        tuple(
            int(part) for part in RouterSettings.model_fields["doubt_schedule_s"].default.split(",")
        )
    )
)
BACKOFF_MAX_S = 30.0
REFRESH_S = 3_600.0


@dataclass
class SimulatedClock:
    """A process's own clock: it may be wrong about the date, never about durations."""

    loop: VirtualLoop
    skew_s: float = 0.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time() + self.skew_s)

    def monotonic(self) -> float:
        return self.loop.time()


@dataclass
class RiskPort:
    """Risk: mostly yes; idempotent by payment, and sometimes away."""

    faults: Faults
    known: dict[str, tuple[bytes, Assessment]] = field(default_factory=dict)

    async def assess(
        self, command: CreatePayment, personal: object, *, timeout_s: float
    ) -> Assessment:
        await asyncio.sleep(self.faults.rng.uniform(0.001, 0.02))
        if self.faults.happens(self.faults.rates.risk_away):
            raise PeerUnavailable(peer="risk")
        if command.payment not in self.known:
            decisions = {RiskDecision.FRICTIONLESS: 96, RiskDecision.DECLINE: 3}
            drawn = self.faults.rng.choices(list(decisions), list(decisions.values()))[0]
            judged = Assessment("assessments/asm_1", drawn, "", "", False)
            self.known[command.payment] = (command.fingerprint, judged)
        fingerprint, judged = self.known[command.payment]
        if fingerprint != command.fingerprint:
            raise IdempotencyKeyReused(merchant=command.merchant)
        await asyncio.sleep(self.faults.rng.uniform(0.001, 0.02))
        return judged


class RouterNode:
    """What one router process holds in memory; a restart begins with a new one."""

    def __init__(
        self, store: RouterStore, risk: RiskPort, gateway: Service, clock: SimulatedClock
    ) -> None:
        self.rails = RailClients({"gateway": Channel(gateway, ROUTER)})  # type: ignore[dict-item]
        self.tasks = TaskGroup()
        self.world = World(
            store=store, risk=risk, rails=self.rails, clock=clock, failpoint=_pass_by,
            questions=QUESTIONS,
        )  # fmt: skip

    async def listen(self) -> None:
        """As `app._listen`."""
        while True:
            await self.rails.refresh()
            await asyncio.sleep(REFRESH_S if self.rails.heard else 0.5)

    async def do(self, flow: Callable[[World], Flow], wish: object) -> Payment:
        """One call of a merchant or an operator."""
        return await run_wish(flow(self.world), wish, self.world, self.tasks)

    def workers(self) -> list[tuple[Callable[[], Awaitable[int]], float]]:
        """The loops of a `work` process and their periods."""
        pulls = [OutcomePull("gateway", shard, self.world) for shard in range(SHARD_COUNT)]
        return [
            (Progress(self.world).step, 1.0),
            (Janitor(self.world).step, 1.0),
            *((pull.step, 0.5) for pull in pulls),
        ]


class GatewayNode:
    """What one gateway process holds in memory."""

    def __init__(
        self,
        book: GatewayBook,
        letters: Inbox,
        terminals: dict[str, Terminal],
        clock: SimulatedClock,
    ) -> None:
        self.letters = letters
        self.servicer = GatewayServicer(
            submit=Submit(book, terminals, UnderWay(), clock),
            run_look_up=LookUp(book, terminals, clock),
            terminals=terminals,
            record=book,
            monitor=Monitor("gateway", clock, None),
            clock=clock,
        )
        take = TakeNotice(letters, book, terminals, clock)
        self._steps = [
            (Resumer(book, terminals, clock).step, 1.0),
            (Postman(letters, take).step, 0.5),
        ]

    def __getattr__(self, method: str) -> object:
        return getattr(self.servicer, method)  # the RPCs

    def workers(self) -> list[tuple[Callable[[], Awaitable[int]], float]]:
        """The loops of a `work` process and their periods."""
        return list(self._steps)


@dataclass
class Loops:
    """Runs worker steps as `cashier_common.worker` does; `next_due` lets quiet days pass fast."""

    loop: VirtualLoop
    rng: random.Random
    surprises: list[str]
    next_due_s: Callable[[], float | None]
    is_draining: bool = False

    def start(
        self, process: Process, steps: list[tuple[Callable[[], Awaitable[int]], float]]
    ) -> None:
        """Run each step in the process, for as long as it lives."""
        for step, period_s in steps:
            process.start(self._repeat(step, period_s))

    async def _repeat(self, step: Callable[[], Awaitable[int]], period_s: float) -> None:
        failures = 0
        while True:
            try:
                done = await step()
            except Exception as error:  # noqa: BLE001 - a worker outlives whatever its step raises
                self._judge(step, error)
                failures += 1
                pause_s = min(0.2 * 2**failures, BACKOFF_MAX_S)
            else:
                failures = 0
                pause_s = 0 if done else self._rest_s(period_s)
            await asyncio.sleep(pause_s)

    def _rest_s(self, period_s: float) -> float:
        rest_s = period_s * self.rng.uniform(0.8, 1.2)
        if not self.is_draining:
            return rest_s
        due_s = self.next_due_s()
        left_s = 3_600.0 if due_s is None else due_s - self.loop.time()
        return max(rest_s, min(left_s, 3_600.0))

    def _judge(self, step: Callable[[], Awaitable[int]], error: Exception) -> None:
        expected = isinstance(error, MovedOnError) or (
            isinstance(error, Refusal) and error.kind in (Kind.UNAVAILABLE, Kind.LOST_RACE)
        )
        if not expected:
            name = getattr(step, "__qualname__", "step")
            self.surprises.append(f"{name}: {type(error).__name__}: {error}")


async def _pass_by(name: str) -> None:
    """Every failpoint is one more place to die at."""
    del name
    await asyncio.sleep(0)
