"""kill -9 of router and gateway, at the worst moments: every payment ends right, charged once.

A failpoint holds payments at one place; SIGKILL then takes the process with all of them there.
"""

import asyncio
import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest

from cashier.payments.v1 import payment_pb2
from cashier_common.rpc.client import RECONNECT_MAX_MS
from cashier_mesh.supervisor import Mesh
from tests.support.crashes import (
    Wishes,
    are_written,
    arm,
    at_rest,
    charged,
    each_has,
    insistently,
    kill,
    names,
    reach,
    revive,
    wishes,
)
from tests.support.mesh_client import MERCHANT, Answer, MeshClient, Request, a_key, a_payment
from tests.support.processors import Processors
from tests.support.seed import picked
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("books_agree")]
Payment = payment_pb2.Payment
Operation = payment_pb2.Operation

HELD = "sleep=60"
CAUGHT = 20  # of each account at each point of the router, at the least
CAUGHT_BY_GATEWAY = 5
# A caller's time bounds the lease that a killed router leaves behind: seven seconds here.
HURRIED_S = 3.0
PATIENT_S = 50.0  # nobody is told anything before the gateway is dead, however slow the machine
STORM = 60
EXIT_REFUSED = 78
# Until then a router may still take a restarted gateway for dead.
RECONNECTED_AFTER_S = RECONNECT_MAX_MS / 1_000 + 0.5
# How many charges a processor holds for each payment that a router is killed with.
ROUTER_POINTS = {"router.before_send": 0, "router.after_answer": 1}
GATEWAY_POINTS = {
    # Where the gateway dies: how many charges each processor holds then, and how it ends.
    "gateway.after_row": (0, Payment.STATE_FAILED),
    "gateway.after_create": (0, Payment.STATE_FAILED),
    "gateway.after_send": (1, Payment.STATE_SUCCEEDED),
    "gateway.before_record": (1, Payment.STATE_SUCCEEDED),
}


@pytest.fixture
async def whole_again(mesh: Mesh) -> AsyncIterator[None]:
    """After the test every process runs, without failpoints."""
    yield
    for service in ("gateway", "router"):
        mesh.set_env(service, {}, role="serve")
    await revive(mesh, "gateway", "router")


async def test_a_killed_router_charges_once_and_its_worker_ends_every_payment(
    mesh, checkout, processors, whole_again
):
    """It dies before or after the charge, as the run's seed says."""
    (point,) = picked(list(ROUTER_POINTS), 1)
    await _ends_charged_once(mesh, checkout, processors, point)


@pytest.mark.long
@pytest.mark.parametrize("point", ["router.before_send", "router.after_answer"])
async def test_a_router_that_is_killed_anywhere_charges_once(
    mesh, checkout, processors, whole_again, point
):
    await _ends_charged_once(mesh, checkout, processors, point)


async def _ends_charged_once(
    mesh: Mesh, checkout: MeshClient, processors: Processors, point: str
) -> None:
    sent = ROUTER_POINTS[point]
    paid = await wishes(mesh, processors, CAUGHT)
    keys = list(paid)
    await arm(mesh, "router", f"{point}:{HELD}")
    await reach(checkout)
    mesh.kill("router", "work")  # or it would take over what is held for too long

    calls = [asyncio.create_task(checkout.create(paid[key], key, HURRIED_S)) for key in keys]
    await until(lambda: are_written(checkout, keys))
    await until(lambda: each_has(processors, keys, sent))
    held = [p.name for p in await checkout.all_of(MERCHANT) if p.state == Payment.STATE_PROCESSING]
    kill(mesh, "router")
    heard = await asyncio.gather(*calls, return_exceptions=True)
    when_killed = await charged(processors, keys)
    mesh.set_env("router", {}, role="serve")
    await revive(mesh, "router")
    await reach(checkout)
    ended = await until(lambda: at_rest(checkout, keys))
    again = await asyncio.gather(*(checkout.create(paid[key], key) for key in keys))

    assert not any(_promises_an_end(answer) for answer in heard)
    assert dict.fromkeys(names(keys), sent) == when_killed
    assert set(names(keys)) == set(held)
    assert {Payment.STATE_SUCCEEDED} == {payment.state for payment in ended}
    assert {1_000} == {payment.captured_amount.minor for payment in ended}
    assert {1} == {len(payment.operations) for payment in ended}
    assert dict.fromkeys(names(keys), 1) == await charged(processors, keys)
    assert ended == [answer.payment for answer in again]
    assert all(answer.replayed for answer in again)


@pytest.mark.long
async def test_routers_that_die_in_a_storm_charge_no_one_twice(
    mesh, checkout, processors, whole_again
):
    """Callers repeat as soon as they can, while the worker is at the same payments."""
    paid = await wishes(mesh, processors, STORM // 2)
    keys = list(paid)
    await arm(mesh, "router", "router.before_send:kill@13,router.after_answer:kill@7")
    await reach(checkout)

    heard = await asyncio.gather(
        *(checkout.create(paid[key], key, HURRIED_S) for key in keys), return_exceptions=True
    )
    died = [unit.name for unit in mesh.units if not unit.running()]
    kill(mesh, "router")  # who had too few calls to come to its failpoint
    mesh.set_env("router", {}, role="serve")
    await revive(mesh, "router")
    again = await asyncio.gather(*(insistently(checkout, paid[key], key) for key in keys))
    ended = await until(lambda: at_rest(checkout, keys))

    assert died
    assert any(isinstance(answer, grpc.aio.AioRpcError) for answer in heard)
    assert names(keys) == [answer.payment.name for answer in again]
    assert {Payment.STATE_SUCCEEDED} == {payment.state for payment in ended}
    assert dict.fromkeys(names(keys), 1) == await charged(processors, keys)


async def test_a_killed_gateway_leaves_doubts_that_end_by_evidence(
    mesh, checkout, processors, whole_again
):
    """It dies where the run's seed says."""
    await _doubts_end_by_evidence(mesh, checkout, processors, picked(list(GATEWAY_POINTS), 1))


@pytest.mark.long
async def test_a_gateway_that_is_killed_anywhere_leaves_doubts_that_end_by_evidence(
    mesh, checkout, processors, whole_again
):
    await _doubts_end_by_evidence(mesh, checkout, processors, list(GATEWAY_POINTS))


async def _doubts_end_by_evidence(
    mesh: Mesh, checkout: MeshClient, processors: Processors, points: Sequence[str]
) -> None:
    """Each next life is killed too, while it is asked about what the one before left."""
    caught: dict[str, list[str]] = {}
    when_killed: dict[str, dict[str, int]] = {}
    heard: list[Answer] = []
    on_second_rail: Sequence[Payment] = ()
    saved: Wishes = {}  # these have a token at a second account, too
    for point in points:
        sent, _ = GATEWAY_POINTS[point]
        paid = await wishes(mesh, processors, CAUGHT_BY_GATEWAY)
        if point == "gateway.after_create":
            paid = {k: r for k, r in paid.items() if _token_account(r) != "sandbox-us"}
        keys = caught[point] = list(paid)
        if not saved and len(points) > 1:  # a second life is needed to see where they end
            saved = {a_key(): a_payment("sandbox-us", sandbox_global="tok_ok") for _ in range(5)}
            paid |= saved
        await arm(mesh, "gateway", f"{point}:{HELD}")
        await asyncio.sleep(RECONNECTED_AFTER_S)
        calls = [asyncio.create_task(checkout.create(r, k, PATIENT_S)) for k, r in paid.items()]
        await until(functools.partial(_reached, processors, point, keys, sent))
        if point != points[0]:  # each is proved absent at the first, and goes on
            on_second_rail = await until(functools.partial(at_rest, checkout, list(saved)))
        mesh.kill("gateway")
        heard += await asyncio.gather(*calls)
        when_killed[point] = await charged(processors, keys)
    mesh.set_env("gateway", {}, role="serve")
    await revive(mesh, "gateway")
    ended = {
        point: await until(functools.partial(at_rest, checkout, keys))
        for point, keys in caught.items()
    }

    assert {(Payment.STATE_PROCESSING, True)} == {
        (answer.payment.state, answer.payment.in_doubt) for answer in heard
    }
    for point in points:
        (sent, end), keys = GATEWAY_POINTS[point], caught[point]
        assert dict.fromkeys(names(keys), sent) == when_killed[point], point
        assert [end] * len(keys) == [payment.state for payment in ended[point]], point
        assert when_killed[point] == await charged(processors, keys), point
    assert [Payment.STATE_SUCCEEDED] * len(saved) == [p.state for p in on_second_rail]
    assert [(Operation.STATE_NOT_FOUND, Operation.STATE_SUCCEEDED)] * len(saved) == [
        tuple(operation.state for operation in payment.operations) for payment in on_second_rail
    ]
    assert dict.fromkeys(names(saved), 1) == await charged(processors, saved)


async def test_failpoints_are_refused_outside_development(mesh):
    (service,) = picked(("router", "risk", "gateway", "crypto", "recon"), 1)
    ended = await asyncio.to_thread(_start_in_production, mesh, service)

    assert EXIT_REFUSED == ended.returncode
    assert ended.stderr.startswith(
        "CASHIER_FAILPOINTS is set while CASHIER_ENVIRONMENT is production"
    )


def _start_in_production(mesh: Mesh, service: str) -> "subprocess.CompletedProcess[str]":
    environment = mesh.service_env(service) | {
        "CASHIER_ENVIRONMENT": "production",
        "CASHIER_FAILPOINTS": "router.before_send:kill",
        "CASHIER_LISTEN": "127.0.0.1:0",
    }
    return subprocess.run(
        [sys.executable, "-m", f"cashier_{service}", "serve"],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def _promises_an_end(answer: object) -> bool:
    """Whether a caller was told more than that its payment is under way."""
    return isinstance(answer, Answer) and answer.payment.state != Payment.STATE_PROCESSING


async def _reached(processors: Processors, point: str, keys: Sequence[str], sent: int) -> bool:
    """Whether every payment stands at the gateway's failpoint."""
    if point == "gateway.after_row":  # nobody outside can see that: time enough for a commit
        await asyncio.sleep(1)
        return True
    if point == "gateway.after_create":
        reached = {trace.operation.split("/operations/")[0] for trace in await processors.traces()}
        return set(names(keys)) <= reached
    return await each_has(processors, keys, sent)


def _token_account(request: Request) -> str:
    return request.instrument.tokens[0].processor_account
