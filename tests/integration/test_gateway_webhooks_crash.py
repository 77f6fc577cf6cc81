"""Webhooks into real processes that are killed: what was answered with 200 is never lost."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator

import aiohttp
import pytest

from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_process import GatewayProcess
from tests.support.gateway_rig import START_WAIT_S, accounts_file
from tests.support.gateway_webhooks import ADYEN, Hooks, hook_account, hooks
from tests.support.notices import adyen_body, adyen_item
from tests.support.postgres_fixture import Copies, postgres

__all__ = ["hooks", "postgres"]
BURST = 300


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


def intake_port(gateway: GatewayProcess) -> int:
    """The port that the process has logged for its webhooks."""
    for line in gateway.log.read_text().splitlines():
        facts = json.loads(line) if line.startswith("{") else {}
        if facts.get("event") == "webhooks_served":
            return int(facts["port"])
    raise AssertionError(gateway.log.read_text())


async def post(port: int, body: bytes) -> int:
    """The status of the answer, 0 where none came."""
    url = f"http://127.0.0.1:{port}/webhooks/{ADYEN}"
    try:
        async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


async def settled(hooks: Hooks, call: object) -> State:
    """Where the call stands once a worker process has taken its letter."""
    deadline = time.monotonic() + START_WAIT_S
    while time.monotonic() < deadline:
        state = (await hooks.stands(call)).state
        if state is not State.PENDING:
            return state
        await asyncio.sleep(0.1)
    return State.PENDING


async def test_a_letter_that_was_kept_and_never_answered_is_taken_once(tmp_path, service, hooks):
    """The gateway dies between its commit and its answer; the processor sends again."""
    accounts = accounts_file(tmp_path / "a.yaml", hook_account(ADYEN))
    gateway = GatewayProcess(tmp_path / "gateway", service, accounts)
    call = await hooks.call(State.PENDING, Kind.CAPTURE)
    body = adyen_body(adyen_item("CAPTURE", call.operation))
    try:
        gateway.start(
            CASHIER_WEBHOOK_LISTEN="127.0.0.1:0", CASHIER_FAILPOINTS="gateway.after_inbox:kill"
        )
        unanswered = await post(intake_port(gateway), body)
        died = gateway.exit_code()
        gateway.start(CASHIER_WEBHOOK_LISTEN="127.0.0.1:0")
        again = await post(intake_port(gateway), body)
    finally:
        gateway.kill()

    await hooks.take()

    assert (0, -signal.SIGKILL, 200) == (unanswered, died, again)
    assert [("DONE", "APPLIED", 1)] == await hooks.letters()
    assert State.SUCCEEDED is (await hooks.stands(call)).state


async def test_a_worker_that_dies_over_a_letter_leaves_it_to_the_next(tmp_path, service, hooks):
    accounts = accounts_file(tmp_path / "a.yaml", hook_account(ADYEN))
    worker = GatewayProcess(tmp_path / "worker", service, accounts)
    call = await hooks.call(State.PENDING, Kind.CAPTURE)
    await hooks.adyen(adyen_item("CAPTURE", call.operation), take=False)
    try:
        worker.start("work", CASHIER_FAILPOINTS="gateway.before_notice:kill")
        died = await asyncio.to_thread(worker.exit_code, START_WAIT_S)
        left = await hooks.letters()
        worker.start("work")
        state = await settled(hooks, call)
    finally:
        worker.kill()

    assert (-signal.SIGKILL, [("WAITING", "", 0)]) == (died, left)
    assert State.SUCCEEDED is state


async def test_nothing_that_was_answered_is_lost_when_the_gateway_is_killed(
    tmp_path, service, hooks
):
    """Killed in the middle of a burst; whoever got a 200 is in the inbox."""
    accounts = accounts_file(tmp_path / "a.yaml", hook_account(ADYEN))
    gateway = GatewayProcess(tmp_path / "gateway", service, accounts).start(
        CASHIER_WEBHOOK_LISTEN="127.0.0.1:0"
    )
    port, items = intake_port(gateway), [adyen_item("REPORT_AVAILABLE", "x") for _ in range(BURST)]
    gate = asyncio.Semaphore(16)
    answered = []

    async def send(item: dict[str, object]) -> None:
        async with gate:
            if await post(port, adyen_body(item)) == 200:
                answered.append(f"{item['pspReference']}/REPORT_AVAILABLE/true")
                if len(answered) == BURST // 3:
                    gateway.kill()

    await asyncio.gather(*(send(item) for item in items))

    rows = await hooks.rig.as_owner("SELECT event_id FROM inbox")
    kept = {row["event_id"] for row in rows}
    assert BURST // 3 <= len(answered) < BURST
    assert set(answered) <= kept


async def test_production_takes_no_secret_that_stands_in_the_file(tmp_path, service):
    accounts = accounts_file(tmp_path / "a.yaml", hook_account(ADYEN, credential="env:HOME"))
    gateway = GatewayProcess(tmp_path / "gateway", service, accounts)
    try:
        gateway.start("work", CASHIER_ENVIRONMENT="production")
        code = await asyncio.to_thread(gateway.exit_code, START_WAIT_S)
    finally:
        gateway.kill()

    log = gateway.log.read_text()
    assert (78, True) == (code, "webhook_secrets of adyen-eu holds a plain value" in log)
    assert "44782DEF" not in log
