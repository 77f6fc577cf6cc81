"""The floor: the least work that any durable, routed card payment needs on this stack.

client → router → risk, router → gateway → HTTP processor; empty handlers, no TLS, no telemetry, two
bare durable commits of the router through asyncpg. `python -m tests.bench.floor ROLE BASE_PORT` is
one of its processes; `Floor` runs them all.
"""

import asyncio
import importlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import asyncpg
import grpc
import uvloop
from aiohttp import web
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
ROUTER, RISK, GATEWAY, PROCESSOR = range(4)
ROLES = {"processor": PROCESSOR, "risk": RISK, "gateway": GATEWAY, "router": ROUTER}
POOL_SIZE = 16
HTTP_CONNECTIONS = 200
READY_S = 20.0
TABLE = """
CREATE TABLE IF NOT EXISTS floor_payments
    (id uuid PRIMARY KEY, key text UNIQUE, amount bigint, state text)
"""


def stubs(folder: Path) -> tuple[Any, Any]:
    """The floor's own stubs, made into `folder` once."""
    if not (folder / "floor_pb2_grpc.py").exists():
        protoc.main(
            ["", f"-I{HERE}", f"--python_out={folder}", f"--grpc_python_out={folder}",
             str(HERE / "floor.proto")]
        )  # fmt: skip
    sys.path.insert(0, str(folder))
    return importlib.import_module("floor_pb2"), importlib.import_module("floor_pb2_grpc")


async def serve_hop(api: Any, handler: Any, port: int) -> None:
    class Servicer(api.HopServicer):  # type: ignore[misc]
        async def Do(self, request, context):
            return await handler(request)

    server = grpc.aio.server()
    api.add_HopServicer_to_server(Servicer(), server)
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


async def run_role(role: str, base: int, folder: Path) -> None:
    """One process of the floor, until it is killed."""
    _, api = stubs(folder)
    if role == "processor":
        await serve_processor(base + PROCESSOR)
    elif role == "risk":
        await serve_hop(api, same, base + RISK)
    elif role == "gateway":
        connector = aiohttp.TCPConnector(limit=HTTP_CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            url = f"http://{HOST}:{base + PROCESSOR}/charge"

            async def forward(request):
                body = {"id": request.id, "amount": request.amount, "currency": request.currency}
                async with session.post(url, json=body) as answer:
                    await answer.json()
                return request

            await serve_hop(api, forward, base + GATEWAY)
    else:
        await serve_router(api, base)


async def same(request):
    return request


async def serve_processor(port: int) -> None:
    async def charge(request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"id": f"ch_{body['id']}", "status": "succeeded"})

    app = web.Application()
    app.router.add_post("/charge", charge)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


async def serve_router(api: Any, base: int) -> None:
    pool = await asyncpg.create_pool(
        os.environ["FLOOR_DSN"], min_size=POOL_SIZE, max_size=POOL_SIZE
    )
    await pool.execute(TABLE)
    risk = api.HopStub(grpc.aio.insecure_channel(f"{HOST}:{base + RISK}"))
    gateway = api.HopStub(grpc.aio.insecure_channel(f"{HOST}:{base + GATEWAY}"))

    async def pay(request):
        number = uuid.uuid4()
        await risk.Do(request)
        await pool.execute(
            "INSERT INTO floor_payments VALUES ($1, $2, $3, 'sent')",
            number, request.id, request.amount,
        )  # fmt: skip
        await gateway.Do(request)
        await pool.execute("UPDATE floor_payments SET state = 'done' WHERE id = $1", number)
        return request

    await serve_hop(api, pay, base + ROUTER)


class Floor:
    """All processes of the floor; a context manager."""

    def __init__(self, dsn: str, base_port: int) -> None:
        self._dsn = dsn
        self.base_port = base_port
        self._folder = tempfile.TemporaryDirectory(prefix="cashier-floor-")
        self.folder = Path(self._folder.name)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        stubs(self.folder)
        env = {**os.environ, "FLOOR_DSN": self._dsn}
        for role in ROLES:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.bench.floor", role, str(self.base_port),
                     str(self.folder)],
                    env=env,
                )
            )  # fmt: skip
        asyncio.run(self._ready())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for process in self._processes:
            process.kill()
            process.wait()
        self._folder.cleanup()

    async def _ready(self) -> None:
        ends = time.monotonic() + READY_S
        for offset in ROLES.values():
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, self.base_port + offset)
                    writer.close()
                    break
                if time.monotonic() > ends:
                    raise TimeoutError(f"the floor's port {self.base_port + offset} never opened")
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    uvloop.run(run_role(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
