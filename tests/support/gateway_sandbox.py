"""A gateway before the sandbox: its fixtures, an owner who stalls, and what was told late."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from cashier_common.db.audit import read_late, shard_of
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep, Terminal
from cashier_gateway.flows.stream_outcomes import LateOutcome, stream_outcomes
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import MERCHANT, Rig, running_sandbox, sandbox_account
from tests.support.postgres_fixture import Copies
from tests.support.sandbox_process import Sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as process:
        yield process


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    """A database of the gateway's own for one file of tests."""
    database = copies.of("gateway")
    yield database
    copies.drop(database)


@pytest.fixture
async def rig(service: ServiceDatabase, sandbox: Sandbox) -> AsyncIterator[Rig]:
    opened = await Rig.open(service, sandbox_account(sandbox))
    yield opened
    await opened.close()


class Stalled:
    """The real adapter behind an owner who stops just before he sends."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, call: Call, keep: Keep) -> Answer:
        self.arrived.set()
        await self.go_on.wait()
        answer: Answer = await self._inner.send(call, keep)
        return answer


def stall(rig: Rig, account: str = "one") -> Stalled:
    terminal = rig.terminals[account]
    stalled = Stalled(terminal.processor)
    rig.terminals[account] = Terminal(terminal.account, stalled)
    return stalled


async def late_outcomes(rig: Rig, operation: str) -> list[LateOutcome]:
    """What the stream tells of one operation once everything is sealed."""
    while await rig.sealer.step():
        pass

    class Sealed:
        async def read(self, *, shard: int, after: int) -> Any:
            steps = await read_late(rig.database, shard=shard, after=after)
            if not steps:
                raise StopReading
            return steps

    class StopReading(Exception):
        pass

    told = []
    try:
        async for late in stream_outcomes(Sealed(), shard=shard_of(MERCHANT), after=0):
            told.append(late)  # noqa: PERF401 - a comprehension would lose all of them at the end
    except StopReading:
        pass
    return [late for late in told if late.operation == operation]
