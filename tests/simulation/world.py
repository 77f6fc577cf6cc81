"""One simulated world: processes, databases, networks, processors and merchants, by one seed."""

import asyncio
import gc
import random
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

from cashier_gateway.flows.notice_ports import InboxState
from cashier_gateway.flows.ports import Terminal
from tests.simulation.adapter import Adapter, account_of, notice_of
from tests.simulation.database import EPOCH, Database
from tests.simulation.faults import CALM, Faults, Rates
from tests.simulation.gateway_book import GatewayBook, GatewayTables
from tests.simulation.inbox import Inbox
from tests.simulation.loop import Process, VirtualLoop, outside_task
from tests.simulation.merchants import Merchants
from tests.simulation.network import Service
from tests.simulation.processor import Door, Effect, Processor, Thing
from tests.simulation.router_book import RouterTables
from tests.simulation.router_store import RouterStore
from tests.simulation.services import (
    QUESTIONS,
    GatewayNode,
    Loops,
    RiskPort,
    RouterNode,
    SimulatedClock,
)

ROLES = ("router", "router-work", "gateway", "gateway-work")
REPLICAS = 2
DOORS = {"alpha": Door.KEYED, "bravo": Door.INTENT, "charlie": Door.ORDER, "delta": Door.REPEAT}
SKEW_MAX_S = 2.0
# Beyond the router's longest call, and beyond the gateway's lease.
STOPS_S = (2.0, 15.0, 45.0, 120.0)
NOTICE_PAUSES_S = (5, 60, 600, 3_600, 21_600)
DRAIN_MAX_S = 40 * 86_400


class World:
    """Everything that there is. `run` lets payments happen; `drain` lets time pass after them."""

    def __init__(
        self,
        seed: int | str,
        rates: Rates = Rates(),  # noqa: B008 - frozen
        doors: Mapping[str, Door] = DOORS,
        replicas: int = REPLICAS,
    ) -> None:
        self.seed = seed
        self.loop = VirtualLoop()
        self.faults = Faults(rates, self._rng("faults"))
        self.router_tables, self.gateway_tables = RouterTables(), GatewayTables()
        self.databases = {
            name: Database(name, self.loop, self._rng(f"database {name}"))
            for name in ("router", "gateway")
        }
        for database in self.databases.values():
            database.lost_answer_ppm = rates.lost_commit
        self.router = Service("router", self.loop, self._rng("router"), self.faults)
        self.gateway = Service("gateway", self.loop, self._rng("gateway"), self.faults)
        self.processors = {name: self._processor(name, door) for name, door in doors.items()}
        self.adapters = {
            name: Adapter(processor, self.loop, self.faults)
            for name, processor in self.processors.items()
        }
        self.terminals = {
            name: Terminal(account_of(name, bps=100 + place), self.adapters[name])
            for place, name in enumerate(doors)
        }
        self.surprises: list[str] = []
        self.router.surprises = self.gateway.surprises = self.surprises
        self.loops = Loops(self.loop, self._rng("loops"), self.surprises, self.next_due_s)
        self.store = RouterStore(self.databases["router"], self.router_tables, QUESTIONS)
        self.book = GatewayBook(self.databases["gateway"], self.gateway_tables)
        self.letters = Inbox(self.databases["gateway"], self.gateway_tables, self.book)
        self.risk = RiskPort(self.faults)
        self.merchants = Merchants(self.router, list(doors), self._rng("merchants"))
        self.processes: dict[str, Process] = {}
        self.dead: list[Process] = []
        self.kills = 0
        for name in (f"{role}-{n}" for role in ROLES for n in range(1, replicas + 1)):
            self._boot(name)

    def run(self, payments: int, over_s: float) -> "World":
        """So many customers' stories, begun over so many virtual seconds, and all that goes wrong.

        Ends when every caller has its answer or has given up.
        """

        async def story(after_s: float) -> None:
            await asyncio.sleep(after_s)
            await self.merchants.one()

        async def live() -> None:
            rng = self._rng("arrivals")
            await asyncio.gather(*(story(rng.uniform(0.5, over_s)) for _ in range(payments)))

        return self.tell(live(), troubled=True)

    def tell(self, story: Coroutine[Any, Any, Any], *, troubled: bool = False) -> "World":
        """One story to its end, with or without the trouble of the rates."""

        async def live() -> None:
            trouble = outside_task(self.loop, self._trouble()) if troubled else None
            await story
            if trouble is not None:
                trouble.cancel()

        self._until(live())
        return self

    async def pause(self, for_s: float) -> None:
        """Let time pass within a story."""
        await asyncio.sleep(for_s)

    def drain(self, for_s: float = DRAIN_MAX_S) -> "World":
        """Everybody is calm from now on; time passes until nothing is left to be done."""
        self.faults.is_over = True
        self.loops.is_draining = True
        ends_s = self.loop.time() + for_s

        async def wait() -> None:
            await asyncio.sleep(1_000)  # what was held on its way has arrived
            while self.loop.time() < ends_s and not self.is_quiet():  # noqa: ASYNC110 - it jumps
                await asyncio.sleep(600)

        self._until(wait())
        return self

    def close(self) -> None:
        """Let go of everything that still waits."""
        for process in (*self.processes.values(), *self.dead):
            process.kill()
            process.bury()
        self.loop.close()
        gc.enable()

    def is_quiet(self) -> bool:
        """Whether nobody has anything to do any more."""
        tables, calls = self.router_tables, self.gateway_tables
        waiting = any(mail.state is InboxState.WAITING for mail in calls.inbox.values())
        behind = any(
            len(chain) > tables.cursors.get(("gateway", shard), 0)
            for shard, chain in enumerate(calls.sealed)
        )
        return not (tables.leased or tables.to_ask or calls.submitting or waiting or behind)

    def next_due_s(self) -> float | None:
        """When somebody has something to do next."""
        tables, calls = self.router_tables, self.gateway_tables
        dues: list[datetime] = [*tables.leased.values(), *tables.to_ask.values()]
        dues += [calls.lease_until[name] for name in calls.submitting]
        dues += [m.due for m in calls.inbox.values() if m.state is InboxState.WAITING]
        return (min(dues) - EPOCH).total_seconds() + 0.01 if dues else None

    @property
    def ledger(self) -> list[Effect]:
        """What really happened, at all processors."""
        return [effect for processor in self.processors.values() for effect in processor.ledger]

    def _rng(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{name}")

    def _until(self, work: Coroutine[Any, Any, Any]) -> None:
        gc.disable()  # what it finalizes, and when, would differ from run to run
        self.loop.run_until_complete(outside_task(self.loop, work))

    def _boot(self, name: str) -> None:
        """Start a process, or start it again after it died."""
        process = self.processes[name] = Process(name, self.loop)
        rng = self.faults.rng
        clock = SimulatedClock(self.loop, rng.uniform(-SKEW_MAX_S, SKEW_MAX_S))
        process.on_death["restart"] = lambda: self._died(process)
        node: RouterNode | GatewayNode
        if name.startswith("router"):
            node = RouterNode(self.store, self.risk, self.gateway, clock)
            process.start(node.listen())
        else:
            node = GatewayNode(self.book, self.letters, self.terminals, clock)
        if "work" in name:
            self.loops.start(process, node.workers())
        else:
            service = self.router if name.startswith("router") else self.gateway
            service.replicas = [r for r in service.replicas if r[0].is_alive]
            service.replicas.append((process, node))

    def _died(self, process: Process) -> None:
        self.kills += 1
        self.dead.append(process)
        self.loop.outside(self.faults.rng.uniform(0.2, 4), self._boot, process.name)

    async def _trouble(self) -> None:
        """Kill, stop and cut off, until nobody is left to suffer from it."""
        rates = self.faults.rates
        troubles = (
            (rates.kill_every_s, self._kill), (rates.stop_every_s, self._stop),
            (rates.database_every_s, self._crash_database), (rates.cut_every_s, self._cut),
            (rates.processor_every_s, self._processor_away),
        )  # fmt: skip
        await asyncio.gather(*(self._again(every_s, act) for every_s, act in troubles if every_s))

    async def _again(self, every_s: float, act: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self.faults.rng.expovariate(1 / every_s))
            act()

    def _kill(self) -> None:
        process = self._anybody()
        process.kill_at = process.steps + self.faults.rng.randrange(1, 40)

    def _stop(self) -> None:
        process, rng = self._anybody(), self.faults.rng
        process.stop_at(process.steps + rng.randrange(1, 40), rng.choice(STOPS_S))

    def _crash_database(self) -> None:
        database = self.faults.rng.choice(list(self.databases.values()))
        database.crash(self.faults.rng.uniform(0.5, 8))

    def _cut(self) -> None:
        self.gateway.cut_until = self.loop.time() + self.faults.rng.uniform(1, 60)

    def _processor_away(self) -> None:
        adapter = self.adapters[self.faults.rng.choice(list(self.adapters))]
        adapter.away_until = self.loop.time() + self.faults.rng.uniform(1, 60)

    def _anybody(self) -> Process:
        return self.processes[self.faults.rng.choice(list(self.processes))]

    def _processor(self, name: str, door: Door) -> Processor:
        rates = self.faults.rates
        return Processor(
            account=name, door=door, rng=self._rng(f"processor {name}"), later=self.loop.outside,
            notify=self._notify, is_calm=lambda: rates is CALM,
            show_wrong=lambda: self.faults.happens(rates.wrong_amount), now_s=self.loop.time,
        )  # fmt: skip

    def _notify(self, processor: Processor, thing: Thing) -> None:
        """Send the webhook that something ended, until somebody takes it; or lose it for good."""
        if self.faults.happens(self.faults.rates.notice_lost):
            return
        notice = notice_of(thing)

        async def deliver() -> None:
            for pause_s in (0.1, *NOTICE_PAUSES_S):
                await asyncio.sleep(pause_s * self.faults.rng.uniform(0.5, 1.5))
                try:
                    await self.gateway.ask(
                        "notice", lambda node: node.letters.put(processor.account, [notice], b""),
                        timeout_s=10, key=None, caller="",
                    )  # fmt: skip
                except Exception:  # noqa: BLE001, S112 - the processor tries again
                    continue
                return

        outside_task(self.loop, deliver())
