"""`python -m tests.bench health`: how fast traffic leaves a processor that fails, and comes back.

Twenty payments a second for two accounts, of which the cheaper one fails in turn: it refuses
connections, answers 503, hangs, slows down; then both fail together. Two routers and two gateways.
A payment counts where it was routed to first.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table

from cashier_mesh.config import MeshConfig
from cashier_mesh.supervisor import Mesh
from tests.support.mesh_client import MeshClient, a_key, a_payment
from tests.support.mesh_stand_in import reachable_folder
from tests.support.processors import Processors

RATE_PER_S = 20
CHEAP, DEAR = "sandbox-us", "sandbox-global"
WARM_UP_S = 25.0  # two slices of time that a baseline of latency is learned from
CALM_S = 35.0
LEFT, BACK = 0.05, 0.95
LOOK_S = 5.0  # what is measured must hold for so long
SLOW_MS = 3_000
PAY_S = 25.0
SETTLE_S = 60.0


@dataclass(frozen=True)
class Scene:
    """What fails and for how long; `wanted_s` is how soon traffic must have left, 0: not at all."""

    name: str
    accounts: tuple[str, ...]
    outage: str  # empty: slow
    for_s: float
    wanted_s: float
    calm_s: float = CALM_S


SCENES = (
    Scene("refuses", (CHEAP,), "refuse", 20, 5),
    Scene("answers 503", (CHEAP,), "http_503", 20, 5),
    Scene("hangs", (CHEAP,), "hang", 30, 15),
    Scene("is slow", (CHEAP,), "", 30, 15),
    Scene("all refuse", (CHEAP, DEAR), "refuse", 30, 0),
)


@dataclass
class Paid:
    """One payment: when it was sent, and where it went, in order."""

    at_s: float
    accounts: tuple[str, ...] = ()
    states: tuple[str, ...] = ()

    @property
    def went_first_to(self) -> str:
        return self.accounts[0] if self.accounts else ""


@dataclass
class Seen:
    """What one scene showed; times count from the outage's start, or from its end."""

    scene: Scene
    left_s: float | None
    back_s: float | None
    early: int  # payments that went there first before traffic had left
    late: int  # and after that: probes
    failed: int  # payments that failed altogether
    swings: float  # how much the cheap account's share moved, in whole shares a minute
    first: list[float] = field(default_factory=list)  # its share, second by second


class Crowd:
    """Sends at a steady rate, whatever the answers do."""

    def __init__(self, client: MeshClient) -> None:
        self._client = client
        self.paid: list[Paid] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = False

    async def run(self) -> None:
        began, sent = time.monotonic(), 0
        while not self._stop:
            paid = Paid(time.monotonic())
            self.paid.append(paid)
            task = asyncio.create_task(self._pay(paid))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / RATE_PER_S - time.monotonic()))

    async def settled(self) -> None:
        """Wait until all go to the cheap account: what was, must not be taken for what comes."""
        ends_s = time.monotonic() + SETTLE_S
        while time.monotonic() < ends_s:
            last = [
                one for one in self.paid if one.at_s > time.monotonic() - LOOK_S and one.accounts
            ]
            if _share(last) >= BACK:
                return
            await asyncio.sleep(1)
        raise RuntimeError(f"{CHEAP} is not well by itself: is this machine busy?")

    async def stop(self) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pay(self, paid: Paid) -> None:
        request = a_payment(CHEAP, sandbox_global="tok_ok")
        key = a_key()
        try:
            answer = await self._client.create(request, key, timeout_s=PAY_S)
        except grpc.aio.AioRpcError as error:
            print(f"  a call failed: {error.code().name}", file=sys.stderr)
            return
        operations = answer.payment.operations
        paid.accounts = tuple(one.processor_account for one in operations)
        paid.states = tuple(_state(one) for one in operations)


def _state(operation: Any) -> str:
    return str(type(operation).State.Name(operation.state)).removeprefix("STATE_")


async def play(mesh: Mesh, scenes: Sequence[Scene], console: Console) -> list[Seen]:
    """Every scene in turn, with calm between them."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(MeshClient(mesh))
        processors = await stack.enter_async_context(Processors(mesh))
        crowd = Crowd(client)
        sending = asyncio.create_task(crowd.run())
        console.print(f"warming up for {WARM_UP_S:g} s at {RATE_PER_S} payments/s")
        await asyncio.sleep(WARM_UP_S)
        marks: list[tuple[Scene, float, float, float]] = []
        for scene in scenes:
            await crowd.settled()
            began = time.monotonic()
            for account in scene.accounts:
                await _begin(processors, account, scene)
            await asyncio.sleep(scene.for_s)
            ended = time.monotonic()
            for account in scene.accounts:
                await _end(processors, account, scene)
            await asyncio.sleep(scene.calm_s)
            marks.append((scene, began, ended, time.monotonic()))
            console.print(f"{scene.name}: played")
        await crowd.stop()
        await sending
    return [seen(crowd.paid, *mark) for mark in marks]


async def _begin(processors: Processors, account: str, scene: Scene) -> None:
    if scene.outage:
        await _control(processors, "POST", f"{account}/outage", {"mode": scene.outage})
    else:
        body = {"kind": "fixed", "ms": SLOW_MS}
        await _control(processors, "PUT", f"{account}/latency", body)


async def _end(processors: Processors, account: str, scene: Scene) -> None:
    if scene.outage:
        await _control(processors, "DELETE", f"{account}/outage", None)
    else:
        await _control(processors, "PUT", f"{account}/latency", {"kind": "none"})


async def _control(processors: Processors, method: str, path: str, body: Any) -> None:
    await processors._sandbox_send(method, f"/control/accounts/{path}", body)


def seen(paid: Sequence[Paid], scene: Scene, began: float, ended: float, over: float) -> Seen:
    """What the payments of a scene tell."""
    during = [one for one in paid if began <= one.at_s < ended]
    after = [one for one in paid if ended <= one.at_s < over]
    left_s = _when(during, began, ended, below=LEFT)
    first = [one for one in during if one.went_first_to == CHEAP]
    early = [one for one in first if left_s is None or one.at_s < began + left_s]
    shares = [
        _share([one for one in during if began + s <= one.at_s < began + s + 1])
        for s in range(int(ended - began))
    ]
    swings = sum(abs(b - a) for a, b in pairwise(shares))
    return Seen(
        scene=scene,
        left_s=left_s,
        back_s=_when(after, ended, over, above=BACK),
        early=len(early),
        late=len(first) - len(early),
        failed=sum(1 for one in during if "SUCCEEDED" not in one.states),
        swings=swings * 60 / max(1.0, ended - began),
        first=shares,
    )


def _share(paid: Sequence[Paid]) -> float:
    return sum(one.went_first_to == CHEAP for one in paid) / max(1, len(paid))


def _when(
    paid: Sequence[Paid], began: float, ended: float, *, below: float = 2.0, above: float = -1.0
) -> float | None:
    """The first moment when the share is below or above for a second, and for all of the rest."""
    for one in paid:
        if one.at_s > ended - LOOK_S:
            return None
        rest = [other for other in paid if other.at_s >= one.at_s]
        second = [other for other in rest if other.at_s < one.at_s + 1]
        if above <= _share(rest) <= below and above <= _share(second) <= below:
            return one.at_s - began
    return None


def mesh_config(folder: Path) -> MeshConfig:
    """A mesh with two routers and two gateways, as cheap as it can be beside that."""
    return MeshConfig(
        data_dir=folder / "mesh", base_port=0, chain=False, localstripe=False, fsync=False,
        replicas={"router": 2, "gateway": 2}, services=("risk", "gateway", "crypto", "router"),
    )  # fmt: skip


def main(names: Sequence[str] = ()) -> int:
    console = Console(width=120)
    scenes = [scene for scene in SCENES if not names or scene.name in names]
    with reachable_folder() as folder, Mesh(mesh_config(folder)) as mesh:
        told = asyncio.run(play(mesh, scenes, console))
        for unit in mesh.units:
            unit.kill()
    table = Table(
        "the cheap account…", "95 % left after s", "wanted", "95 % back s after its end",
        "went there before", "probes", "payments failed", "share moved /min",
    )  # fmt: skip
    for one in told:
        table.add_row(
            one.scene.name, _text(one.left_s), _text(one.scene.wanted_s or None),
            _text(one.back_s), str(one.early), str(one.late), str(one.failed), f"{one.swings:.2f}",
        )  # fmt: skip
    console.print(table)
    for one in told:
        console.print(f"{one.scene.name:12} " + " ".join(f"{share:.2f}" for share in one.first))
    return 1 if any(problems(one) for one in told) else 0


def problems(one: Seen) -> list[str]:
    """What was not as it should be, as sentences."""
    found = []
    wanted = one.scene.wanted_s
    if wanted and (one.left_s is None or one.left_s > wanted):
        found.append(f"{one.scene.name}: 95 % had left after {_text(one.left_s)} s, not {wanted}")
    if one.back_s is None or one.back_s > 30:
        found.append(f"{one.scene.name}: 95 % were back after {_text(one.back_s)} s, not 30")
    if not wanted and one.swings > 4:
        found.append(f"{one.scene.name}: shares moved {one.swings:.1f} times a minute")
    return found


def _text(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"
