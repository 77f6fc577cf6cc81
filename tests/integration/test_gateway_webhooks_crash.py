"""Webhooks into real processes that are killed: what was answered with 200 is never lost."""

import asyncio
import json
import os
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
from tests.support.seed import SEED_VARIABLE
from tests.support.webhook_storm import Storm

__all__ = ["hooks", "postgres"]


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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.parametrize(
    ("letters", "kills"), [(200, 1), pytest.param(3_000, 10, marks=pytest.mark.long)]
)
async def test_nothing_that_was_answered_is_lost_or_done_twice_whoever_is_killed(
    tmp_path, service, hooks, letters, kills
):
    """Server or worker dies at random moments; whoever got a 200 is in the inbox, then applied."""
    await hooks.rig.as_owner("TRUNCATE calls")
    storm = Storm(tmp_path, service, hooks, letters, int(os.environ[SEED_VARIABLE]))

    told = await storm.rage(senders=16, kills=kills)

    assert kills == told.kills
    assert told.accepted <= await storm.kept()
    assert {
        "waiting": 0, "once": letters, "letters": letters, "succeeded": letters, "steps": letters,
    } == await storm.truth()  # fmt: skip


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
