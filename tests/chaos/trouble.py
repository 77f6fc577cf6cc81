"""Carries out a plan of faults, puts everything right again, and keeps count."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from cashier_mesh.errors import MeshError
from cashier_mesh.unit import Unit
from tests.chaos.ground import ACCOUNTS, KEEP_500, MISCHIEF, Ground
from tests.chaos.plan import Fault, Harm
from tests.chaos.proxy import Mood, Weather

# What part of the pieces a wire's mood takes hold of: all would only be an outage.
WIRE_PER_MILLE = 500
BROWNOUT_PPM = 300_000
RULE_PPM = 500_000
WITHOUT_500 = ["lost_answer", "unavailable"]
REVIVE_WITHIN_S = 60.0
WORK_WITHIN_S, WORK_LOOK_S = 5.0, 0.01
ROW_S = 0.15  # the row is written by then, and the fail point still holds the request back
STORES = (Harm.POSTGRES, Harm.VALKEY)
SLOW_MOODS = (Mood.SILENT, Mood.DEAF, Mood.REFUSE)  # these take hold of a whole connection


@dataclass
class Trouble:
    """The hand that breaks things; `done` counts what was done by kind."""

    ground: Ground
    done: Counter[str] = field(default_factory=Counter)
    _busy: Counter[str] = field(default_factory=Counter)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def make(self, faults: Sequence[Fault]) -> None:
        """Every fault at its time, and webhooks that nobody can trust; then all is whole again."""
        await self._misbehave()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                for fault in faults:
                    group.create_task(self._later(fault, began))
        finally:
            await self.mend()

    async def mend(self) -> None:
        """End what still lasts; start what is dead, until it serves."""
        mesh = self.ground.mesh
        for unit in mesh.units:
            _signal(unit, signal.SIGCONT)
        self.ground.wires.clear()
        for harm in STORES:
            await self._start_store(harm)
        if not mesh.peers["sandbox"].running():
            await self._start_sandbox()
        await self._control("POST", "/control/reset", {})
        async with asyncio.timeout(REVIVE_WITHIN_S):
            await asyncio.gather(*(self._revive(unit) for unit in mesh.units))

    async def _later(self, fault: Fault, began: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(began + fault.at_s - loop.time(), 0))
        # Of two faults at one place at one time, the later one would end when the first does.
        place = f"{fault.harm} {fault.target}"
        if self._busy[place]:
            return
        self._busy[place] += 1
        print(f"  now {loop.time() - began:6.2f} s: {fault}")
        try:
            await self._happens(fault)
            print(f"  end {loop.time() - began:6.2f} s: {fault}")
            self.done[fault.harm] += 1
        finally:
            self._busy[place] -= 1

    async def _happens(self, fault: Fault) -> None:
        match fault.harm:
            case Harm.KILL:
                await self._kill(self._unit(fault.target), fault.for_s)
            case Harm.FREEZE:
                unit = self._unit(fault.target)
                await self._has_work(unit)
                _signal(unit, signal.SIGSTOP)
                await asyncio.sleep(fault.for_s)
                _signal(unit, signal.SIGCONT)
            case Harm.POSTGRES | Harm.VALKEY:
                store = self._store(fault.harm)
                await asyncio.to_thread(store.kill)
                await asyncio.sleep(fault.for_s)
                await self._start_store(fault.harm)
            case Harm.SANDBOX:
                await asyncio.to_thread(self.ground.mesh.peers["sandbox"].kill)
                await asyncio.sleep(fault.for_s)
                await self._start_sandbox()
            case Harm.WIRE:
                await self._wire(fault)
            case _:
                await self._processor(fault)

    async def _has_work(self, unit: Unit) -> None:
        """Wait until a gateway has just got an operation: frozen between its row and its send."""
        if unit.seat.service != "gateway":
            return
        wire = self.ground.wires[unit.name]
        before, loop = wire.requests, asyncio.get_running_loop()
        latest = loop.time() + WORK_WITHIN_S
        while wire.requests == before and loop.time() < latest:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(WORK_LOOK_S)
        await asyncio.sleep(ROW_S)

    async def _kill(self, unit: Unit, for_s: float) -> None:
        await asyncio.to_thread(unit.kill)
        await asyncio.sleep(for_s)
        await self._revive(unit)

    async def _revive(self, unit: Unit) -> None:
        """Start it until it runs: the database may be down, and then it gives up."""
        seat = unit.seat
        while not unit.running():
            try:
                await asyncio.to_thread(
                    self.ground.mesh.restart, seat.service, seat.role, seat.replica
                )
            except MeshError:
                await asyncio.sleep(0.5)

    async def _wire(self, fault: Fault) -> None:
        mood = Mood(fault.detail)
        share = 1_000 if mood in SLOW_MOODS else WIRE_PER_MILLE
        wires = self.ground.wires
        await asyncio.to_thread(wires.change, fault.target, Weather(mood, share))
        await asyncio.sleep(fault.for_s)
        await asyncio.to_thread(wires.change, fault.target, Weather())

    async def _processor(self, fault: Fault) -> None:
        """Bad days of one processor account, by the sandbox's control API."""
        path = f"/control/accounts/{fault.target}"
        if fault.harm is Harm.OUTAGE:
            body = {"mode": fault.detail, "for_s": fault.for_s}
            await self._control("POST", f"{path}/outage", body)
            await asyncio.sleep(fault.for_s)
        elif fault.harm is Harm.BROWNOUT:
            kinds = {"kinds": WITHOUT_500} if fault.target in KEEP_500 else {}
            body = {"probability_ppm": BROWNOUT_PPM, **kinds}
            await self._control("PUT", f"{path}/brownout", body)
            await asyncio.sleep(fault.for_s)
            await self._control("PUT", f"{path}/brownout", {"probability_ppm": 0})
        else:
            operation, behaviour = fault.detail.split()
            if "500" in behaviour and fault.target in KEEP_500:
                behaviour = "lost_answer"
            rule = {"behaviour": behaviour, "operation": operation, "probability_ppm": RULE_PPM}
            await self._control("PUT", f"{path}/rules", {"rules": [rule]})
            await asyncio.sleep(fault.for_s)
            await self._control("PUT", f"{path}/rules", {"rules": []})

    async def _control(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """Tell the sandbox; while it is dead there is nobody to tell, and `mend` ends it all."""
        mesh = self.ground.mesh
        token = (mesh.config.data_dir / "sandbox" / "control.token").read_text().strip()
        url = f"{mesh.peer_urls['sandbox']}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            return None
        if answer.status >= 300:
            raise AssertionError(f"{method} {path} {body}: {text}")
        return json.loads(text) if text else None

    async def _start_store(self, harm: Harm) -> None:
        store = self._store(harm)
        if not store.running():
            await asyncio.to_thread(store.start)

    async def _start_sandbox(self) -> None:
        sandbox = self.ground.mesh.peers["sandbox"]
        await asyncio.to_thread(sandbox.start)
        await asyncio.to_thread(sandbox.wait_ready)
        await self._misbehave()

    async def _misbehave(self) -> None:
        """Let webhooks come doubled, in any order, and beside forged and foreign ones."""
        await self._control("PUT", "/control/accounts/*/notices", MISCHIEF)

    async def notices(self) -> Counter[str]:
        """What was done to webhooks since the sandbox's last start, and what was done with them."""
        told: Counter[str] = Counter()
        for account in ACCOUNTS:
            answer = await self._control("GET", f"/control/accounts/{account}/notices", None)
            told.update({name: answer[name] for name in ("delivered", "given_up", "falsely_taken")})
            told.update(answer["tricks"])
        return told

    def _store(self, harm: Harm) -> Any:
        stores = self.ground.mesh.stores
        return stores.postgres if harm is Harm.POSTGRES else stores.valkey

    def _unit(self, name: str) -> Unit:
        return next(unit for unit in self.ground.mesh.units if unit.name == name)


def _signal(unit: Unit, number: signal.Signals) -> None:
    if unit.process is not None and unit.running():
        unit.process.send(number)
