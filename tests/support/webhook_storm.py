"""Webhooks by the hundred into real gateway processes that are killed at random moments.

The sender is a processor: it repeats a letter until it is answered with 200. Then whatever was
accepted has to stand in the inbox, and whatever stands there is applied to its call exactly once.
"""

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_mesh.databases import ServiceDatabase
from cashier_mesh.ports import free_port
from cashier_sandbox.domain.notice import Endpoint
from cashier_sandbox.processors.native.notices import sign
from tests.support.gateway_process import GatewayProcess
from tests.support.gateway_rig import MERCHANT, accounts_file
from tests.support.gateway_webhooks import Hooks, hook_account
from tests.support.waiting import until

ACCOUNT, SECRET = "sandbox-storm", "nwhs_of_the_storm"
ENDPOINT = Endpoint(id="", url="", secret=SECRET, types=(), created_at="")
# A processor waits so long for an answer before it sends again.
ANSWER_S = 5.0
AGAIN_S = 0.05
DOUBLED_PERCENT = 5
EMPTY_WAIT_S = 240.0
DOWN_LEAST_S, DOWN_MOST_S = 0.05, 0.5
SPREAD = """
INSERT INTO calls SELECT (jsonb_populate_record(call, jsonb_build_object(
    'operation', 'payments/pay_storm' || number || '/operations/1',
    'downstream_key', 'storm' || number, 'reference', 'ch_storm' || number))).*
FROM calls AS call, generate_series(0, $2::int - 1) AS number WHERE call.operation = $1
"""
TRUTH = """
SELECT
    (SELECT count(*) FROM inbox WHERE state = 'WAITING') AS waiting,
    (SELECT count(*) FROM inbox WHERE state = 'DONE' AND result = 'APPLIED' AND tries = 1) AS once,
    (SELECT count(*) FROM inbox) AS letters,
    (SELECT count(*) FROM calls WHERE state = 'SUCCEEDED' AND version = 3) AS succeeded,
    (SELECT count(*) FROM steps WHERE version = 3 AND subject LIKE '%pay_storm%') AS steps
"""


def storm_account() -> ProcessorAccount:
    """The account that is told so much; nobody asks its processor."""
    return hook_account(ACCOUNT, webhook_secrets=[f"test:{SECRET}"])


@dataclass
class Told:
    """What became of the letters; latencies are of the requests that were answered with 200."""

    accepted: set[str] = field(default_factory=set)
    latencies_s: list[float] = field(default_factory=list)
    repeated: int = 0
    took_s: float = 0.0
    processed_s: float = 0.0
    kills: int = 0
    intake_cpu_s: float = 0.0
    work_cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.took_s

    def latency_ms(self, share: float) -> float:
        """The latency that this share of the answers stays within."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3


@dataclass
class Storm:
    """A gateway (one that serves, one that works) in front of calls that wait for their webhooks.

    `hooks` is for its database alone: its own intake and worker stay idle.
    """

    folder: Path
    service: ServiceDatabase
    hooks: Hooks
    count: int
    seed: int
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        accounts = accounts_file(self.folder / "accounts.yaml", storm_account())
        self.serving = GatewayProcess(self.folder / "serve", self.service, accounts)
        self.working = GatewayProcess(self.folder / "work", self.service, accounts)
        self._enough, self._reached = 0, asyncio.Event()

    async def rage(self, *, senders: int, kills: int) -> Told:
        """Send everything while processes are killed, then wait until the inbox is empty."""
        await self._prepare()
        told, chance = Told(), random.Random(f"storm {self.seed}")
        try:
            self.working.start("work")
            await asyncio.to_thread(self._serve)
            queue = list(range(self.count))
            queue += chance.sample(queue, self.count * DOUBLED_PERCENT // 100)
            chance.shuffle(queue)
            began = time.perf_counter()
            killing = asyncio.create_task(self._kill(told, kills, chance))
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=senders),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S),
            ) as session:
                await asyncio.gather(*(self._sender(session, queue, told) for _ in range(senders)))
            told.took_s = time.perf_counter() - began
            await killing
            told.intake_cpu_s = _cpu_s(self.serving)
            await until(self._is_empty, patience_s=EMPTY_WAIT_S)
            told.processed_s = time.perf_counter() - began
            told.work_cpu_s = _cpu_s(self.working)
        finally:
            self.serving.kill()
            self.working.kill()
        return told

    async def kept(self) -> set[str]:
        """The events that stand in the inbox."""
        rows = await self.hooks.rig.as_owner("SELECT event_id FROM inbox")
        return {row["event_id"] for row in rows}

    async def truth(self) -> dict[str, int]:
        """What the database says in the end."""
        [row] = await self.hooks.rig.as_owner(TRUTH)
        return dict(row)

    async def _prepare(self) -> None:
        call = await self.hooks.call(
            State.PENDING, Kind.AUTHORIZE, account=ACCOUNT, reference="ch_template"
        )
        await self.hooks.rig.as_owner(SPREAD, call.operation, self.count)
        assert call.merchant == MERCHANT

    def _serve(self) -> None:
        self.serving.start(CASHIER_WEBHOOK_LISTEN=f"127.0.0.1:{self.port}")

    async def _is_empty(self) -> bool:
        found = await self.truth()
        return found["waiting"] == 0

    async def _kill(self, told: Told, kills: int, chance: random.Random) -> None:
        """At a random moment of each stretch of letters one of both dies, then comes back."""
        first = chance.randrange(2)
        for number in range(kills):
            self._enough = int((number + chance.random()) / kills * self.count)
            self._reached.clear()
            await self._reached.wait()
            victim = (self.serving, self.working)[(first + number) % 2]
            victim.kill()
            told.kills += 1
            await asyncio.sleep(chance.uniform(DOWN_LEAST_S, DOWN_MOST_S))
            if victim is self.serving:
                await asyncio.to_thread(self._serve)
            else:
                victim.start("work")

    async def _sender(self, session: aiohttp.ClientSession, queue: list[int], told: Told) -> None:
        url = f"http://127.0.0.1:{self.port}/webhooks/{ACCOUNT}"
        while queue:
            number = queue.pop()
            body = _body(number)
            while True:
                headers = sign(ENDPOINT, body, int(time.time()))
                began = time.perf_counter()
                try:
                    async with session.post(url, data=body, headers=headers) as answer:
                        status = answer.status
                except (aiohttp.ClientError, TimeoutError):
                    status = 0
                if status == 200:
                    told.latencies_s.append(time.perf_counter() - began)
                    told.accepted.add(f"evt_storm{number}")
                    if len(told.accepted) >= self._enough:
                        self._reached.set()
                    break
                told.repeated += 1
                await asyncio.sleep(AGAIN_S)


def _cpu_s(process: GatewayProcess) -> float:
    """Processor time that the process has had, its start included."""
    assert process.process is not None
    fields = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _body(number: int) -> bytes:
    thing: dict[str, Any] = {
        "object": "charge", "id": f"ch_storm{number}", "status": "succeeded", "amount": 1250,
        "currency": "EUR", "reference": f"payments/pay_storm{number}/operations/1",
    }  # fmt: skip
    event = {
        "object": "event", "id": f"evt_storm{number}", "type": "charge.resolved", "seq": number,
        "at": "2026-01-31T12:00:00.000000Z", "account": ACCOUNT, "resource": thing,
    }  # fmt: skip
    return orjson.dumps(event)
