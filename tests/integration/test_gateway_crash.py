"""kill -9 on the way: whoever comes after charges nothing twice, and finds out what happened."""

import asyncio
import signal
from collections.abc import Iterator

import grpc
import pytest

from cashier_common.db.migrate import run_migrations
from cashier_gateway.domain.lifecycle import State
from cashier_mesh.databases import ServiceDatabase
from cashier_mesh.postgres import EmbeddedPostgres
from tests.support.gateway_process import GatewayProcess, a_request, keyed, stub_of
from tests.support.gateway_rig import (
    Rig,
    a_command,
    accounts_file,
    charges,
    running_sandbox,
    sandbox_account,
)
from tests.support.localstripe_process import (
    LOCALSTRIPE,
    LocalStripe,
    running_localstripe,
    stripe_account,
)
from tests.support.postgres_fixture import postgres
from tests.support.sandbox_process import Sandbox

__all__ = ["postgres"]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as process:
        yield process


@pytest.fixture(scope="module")
def stripe(tmp_path_factory) -> Iterator[LocalStripe]:
    if not LOCALSTRIPE.exists():
        pytest.skip("localstripe is not installed: run `make setup`")
    with running_localstripe(tmp_path_factory.mktemp("localstripe") / "log") as process:
        yield process


@pytest.fixture(scope="module")
def service(postgres: EmbeddedPostgres) -> ServiceDatabase:
    database = postgres.provision("gateway", "crash")
    asyncio.run(run_migrations("cashier_gateway", database.owner_url))
    return database


async def die_at(gateway: GatewayProcess, failpoint: str, request) -> None:
    """Send one authorization into a process that kills itself on the way."""
    gateway.start(CASHIER_FAILPOINTS=f"{failpoint}:kill")
    try:
        async with gateway.channel() as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await stub_of(channel).Authorize(request, metadata=keyed(request.operation))
        assert -signal.SIGKILL == gateway.exit_code()
    finally:
        gateway.kill()


@pytest.mark.parametrize(
    "failpoint",
    ["gateway.after_row", "gateway.after_send"],
)
async def test_a_killed_gateway_charges_once_at_the_sandbox(tmp_path, service, sandbox, failpoint):
    account = sandbox_account(sandbox)
    gateway = GatewayProcess(tmp_path, service, accounts_file(tmp_path / "a.yaml", account))
    command, rig = a_command(), await Rig.open(service, account)
    request = a_request(command.operation)

    await die_at(gateway, failpoint, request)
    left = await rig.found(command)
    await rig.lapse(command)
    call = await rig.authorize(command)

    assert State.SUBMITTING is left.state
    assert State.SUCCEEDED is call.state
    assert 1 == len(await charges(sandbox, command.operation))
    await rig.close()


@pytest.mark.parametrize("failpoint", ["gateway.after_create", "gateway.after_send"])
async def test_a_killed_gateway_charges_once_at_stripe(tmp_path, service, stripe, failpoint):
    account = stripe_account(stripe.port)
    gateway = GatewayProcess(tmp_path, service, accounts_file(tmp_path / "a.yaml", account))
    command = a_command("localstripe", await stripe.a_card())
    rig = await Rig.open(service, account)
    request = a_request(command.operation, command.request.token, "localstripe")

    await die_at(gateway, failpoint, request)
    await rig.lapse(command)
    call = await rig.authorize(command)

    assert State.SUCCEEDED is call.state
    assert 1 == len(await stripe.charged(command.operation))
    await rig.close()
