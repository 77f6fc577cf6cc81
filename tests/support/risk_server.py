"""A real risk server for tests: its own database and Valkey, gRPC over loopback."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import pytest
import yaml

from cashier.risk.v1 import assessment_pb2, risk_service_pb2
from cashier.risk.v1.risk_admin_service_pb2_grpc import RiskAdminServiceStub
from cashier.risk.v1.risk_service_pb2_grpc import RiskServiceStub
from cashier_common.rpc.server import MeshServer
from cashier_common.service import Role
from cashier_common.settings import Environment
from cashier_mesh.databases import ServiceDatabase
from cashier_mesh.valkey import EmbeddedValkey
from cashier_risk.app import build
from cashier_risk.settings import RiskSettings

CALLER = "spiffe://cashier.local/client/development"
KEY = (("idempotency-key", "any-visible-ascii-key"),)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class RiskServer:
    """Stubs of a server that runs in this process, and where it keeps things."""

    risk: Any
    admin: Any
    database: ServiceDatabase

    async def assess(self, request: risk_service_pb2.AssessRequest) -> assessment_pb2.Assessment:
        answer: assessment_pb2.Assessment = await self.risk.Assess(request, metadata=KEY)
        return answer

    async def report(self, key: str, **fields: Any) -> None:
        request = risk_service_pb2.ReportOutcomeRequest(**fields)
        await self.risk.ReportOutcome(request, metadata=(("idempotency-key", key.ljust(16, "-")),))

    async def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run SQL as the owner: migrations' rights, and a tamperer's."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()


@pytest.fixture(name="valkey")
def a_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey of this test's own, so that the test may end it."""
    with EmbeddedValkey(tmp_path / "valkey") as server:
        yield server


@asynccontextmanager
async def risk_server(
    database: ServiceDatabase, folder: Path, *, redis_url: str = "", rule_set: Path | None = None
) -> AsyncIterator[RiskServer]:
    """Serve until the block ends."""
    policy = folder / "policy.yaml"
    rule = {"merchants": ["*"], "methods": ["*"]}
    policy.write_text(yaml.safe_dump({"callers": {CALLER: rule}}))
    settings = RiskSettings(
        environment=Environment.DEVELOPMENT,
        listen="127.0.0.1:0",
        database_url=database.app_url,
        redis_url=redis_url,
        plaintext=True,
        access_policy=policy,
        rule_set=rule_set,
    )
    app = await build(settings, Role.SERVE)
    server = MeshServer(settings, domain=app.domain, services=app.services, readiness=app.readiness)
    port = await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.on_stop)
        stack.push_async_callback(server.stop, 1)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        yield RiskServer(RiskServiceStub(channel), RiskAdminServiceStub(channel), database)


@pytest.fixture(name="risk")
async def a_server(
    risk_database: ServiceDatabase, valkey: EmbeddedValkey, tmp_path: Path
) -> AsyncIterator[RiskServer]:
    """A server with a database and counters."""
    async with risk_server(risk_database, tmp_path, redis_url=valkey.url) as server:
        yield server
