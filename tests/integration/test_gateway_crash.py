"""kill -9 on the way: whoever comes after charges nothing twice, and finds out what happened."""

import signal
from collections.abc import Iterator

import grpc
import pytest

from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_operations import MOVES, prepared
from tests.support.gateway_process import (
    GatewayProcess,
    a_moving_request,
    a_request,
    keyed,
    stub_of,
)
from tests.support.gateway_rig import (
    Rig,
    a_command,
    accounts_file,
    entries_of,
    running_sandbox,
    sandbox_account,
)
from tests.support.localstripe_process import (
    LOCALSTRIPE,
    LocalStripe,
    running_localstripe,
    stripe_account,
)
from tests.support.postgres_fixture import Copies, postgres
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
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


async def die_at(
    gateway: GatewayProcess, failpoint: str, request, kind: Kind = Kind.AUTHORIZE
) -> None:
    """Send one operation into a process that kills itself on the way."""
    gateway.start(CASHIER_FAILPOINTS=f"{failpoint}:kill")
    try:
        async with gateway.channel() as channel:
            method = getattr(stub_of(channel), kind.value.title())
            with pytest.raises(grpc.aio.AioRpcError):
                await method(request, metadata=keyed(request.operation))
        assert -signal.SIGKILL == gateway.exit_code()
    finally:
        gateway.kill()


@pytest.mark.some(3)
@pytest.mark.parametrize(
    ("kind", "failpoint"),
    [
        *((Kind.AUTHORIZE, f"gateway.{name}") for name in ("after_row", "after_send")),
        (Kind.CAPTURE, "gateway.before_send"),
        (Kind.CAPTURE, "gateway.before_record"),
        (Kind.VOID, "gateway.after_send"),
        (Kind.REFUND, "gateway.after_row"),
        (Kind.REFUND, "gateway.after_send"),
        (Kind.PAYOUT, "gateway.before_record"),
    ],
)
async def test_a_killed_gateway_moves_money_once_at_the_sandbox(
    tmp_path, service, sandbox, kind, failpoint
):
    account = sandbox_account(sandbox)
    gateway = GatewayProcess(tmp_path, service, accounts_file(tmp_path / "a.yaml", account))
    rig = await Rig.open(service, account)
    command = await prepared(rig, kind)
    target = command.request.target or command.operation

    await die_at(gateway, failpoint, a_moving_request(kind.value.title(), target), kind)
    left = await rig.found(command)
    await rig.lapse(command)
    call = await rig.authorize(command)

    assert State.SUBMITTING is left.state
    assert State.SUCCEEDED is call.state
    assert [MOVES[kind]] == [e["moved"] for e in await entries_of(sandbox, command.operation)]
    await rig.close()


@pytest.mark.some(1)
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
