"""The gateway against the sandbox: what happens once, what is in doubt, and what ends a doubt."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from cashier_common.clock import SystemClock
from cashier_common.db.audit import read_late, shard_of
from cashier_common.db.migrate import run_migrations
from cashier_common.db.verify import verify
from cashier_common.errors import OperationFenced, OperationReused
from cashier_common.money import Money
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.errors import AccountNotEligible
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep, Terminal
from cashier_gateway.flows.stream_outcomes import LateOutcome, stream_outcomes
from cashier_mesh.databases import ServiceDatabase
from cashier_mesh.postgres import EmbeddedPostgres
from tests.support.gateway_rig import (
    MERCHANT,
    ORIGIN,
    Rig,
    a_command,
    charges,
    running_sandbox,
    sandbox_account,
)
from tests.support.postgres_fixture import postgres
from tests.support.sandbox_process import Sandbox

__all__ = ["postgres"]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as process:
        yield process


@pytest.fixture(scope="module")
def service(postgres: EmbeddedPostgres) -> ServiceDatabase:
    database = postgres.provision("gateway", "sandbox")
    asyncio.run(run_migrations("cashier_gateway", database.owner_url))
    return database


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

    async def authorize(self, call: Call, keep: Keep) -> Answer:
        self.arrived.set()
        await self.go_on.wait()
        answer: Answer = await self._inner.authorize(call, keep)
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


async def test_fifty_at_once_charge_once_and_hear_the_same(rig, sandbox):
    command = a_command()

    calls = await asyncio.gather(*(rig.authorize(command) for _ in range(50)))

    assert 1 == len(await charges(sandbox, command.operation))
    assert {(State.SUCCEEDED, calls[0].reference)} == {(c.state, c.reference) for c in calls}


async def test_two_processes_asked_at_once_charge_once(rig, sandbox):
    twin, command = await rig.twin(), a_command()

    calls = await asyncio.gather(*(r.authorize(command) for r in (rig, twin) * 10))

    assert 1 == len(await charges(sandbox, command.operation))
    assert {State.SUCCEEDED} == {call.state for call in calls}
    await twin.close()


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Money(1251, "EUR")},
        {"amount": Money(1250, "USD")},
        {"merchant": "other-games"},
    ],
)
async def test_another_request_under_the_same_operation_is_another_matter(rig, change):
    command = a_command()
    await rig.authorize(command)

    if "merchant" in change:  # operations are scoped by merchant: not the same operation at all
        assert State.SUCCEEDED is (await rig.authorize(replace(command, **change))).state
        return
    with pytest.raises(OperationReused):
        await rig.authorize(replace(command, **change))


async def test_a_duplicate_while_the_first_is_under_way_must_ask_the_same(rig):
    stalled, command = stall(rig), a_command()
    first = asyncio.create_task(rig.authorize(command))
    await stalled.arrived.wait()

    with pytest.raises(OperationReused):
        await rig.authorize(replace(command, amount=Money(1, "EUR")))

    stalled.go_on.set()
    assert State.SUCCEEDED is (await first).state


async def test_a_lost_answer_is_in_doubt_and_looking_finds_the_truth(rig, sandbox):
    command = a_command(token="tok_lost_answer")

    doubtful = await rig.authorize(command)
    found = await rig.look_up(command)

    assert (State.IN_DOUBT, State.SUCCEEDED) == (doubtful.state, found.state)
    assert 1 == len(await charges(sandbox, command.operation))
    [late] = await late_outcomes(rig, command.operation)
    assert (State.SUCCEEDED, "LOOK_UP", found.reference) == (
        late.state, late.source, late.reference,
    )  # fmt: skip


async def test_what_was_never_seen_is_not_found_only_behind_a_closed_door(rig, sandbox):
    command = a_command()

    unseen = await rig.look_up(command, close_door=False)
    closed = await rig.look_up(command)

    assert unseen is None
    assert State.NOT_FOUND is closed.state
    with pytest.raises(OperationFenced):
        await rig.authorize(command)
    assert [] == await charges(sandbox, command.operation)


async def test_a_request_that_is_still_on_its_way_is_shut_out(rig, sandbox):
    slow = sandbox_account(sandbox, timeout_s=0.5)
    rig.terminals["one"] = Terminal(slow, type(rig.terminals["one"].processor)(
        slow, base_url=slow.base_url, credential="key-of-account-one"
    ))  # fmt: skip
    command = a_command(token="tok_held_2")

    doubtful = await rig.authorize(command)
    open_door = await rig.look_up(command, close_door=False)
    closed = await rig.look_up(command)
    await asyncio.sleep(2.5)

    assert [State.IN_DOUBT, State.IN_DOUBT, State.NOT_FOUND] == [
        doubtful.state, open_door.state, closed.state,
    ]  # fmt: skip
    assert [] == await charges(sandbox, command.operation)


async def test_a_stalled_owner_that_wakes_up_behind_a_fence_charges_nothing(rig, sandbox):
    stalled, command = stall(rig), a_command()
    owner = asyncio.create_task(rig.authorize(command))
    await stalled.arrived.wait()

    closed = await rig.look_up(command)
    stalled.go_on.set()
    told = await owner

    assert (State.NOT_FOUND, State.NOT_FOUND) == (closed.state, told.state)
    assert [] == await charges(sandbox, command.operation)
    assert closed.version == (await rig.found(command)).version


async def test_a_success_behind_the_fence_is_the_truth(rig, sandbox):
    """The answer was lost and the door could not be closed at first: the charge still counts."""
    command = a_command(token="tok_500_after")
    await rig.authorize(command)
    async with sandbox.control() as control:
        await control.post("/control/accounts/one/outage", {"mode": "http_503"})
        failed_query = await rig.look_up(command)
        await control.ask("DELETE", "/control/accounts/one/outage")

    found = await rig.look_up(command)

    assert (State.IN_DOUBT, True) == (failed_query.state, failed_query.fenced)
    assert State.SUCCEEDED is found.state
    assert 1 == len(await charges(sandbox, command.operation))


async def test_a_refused_connection_is_not_sent(service):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        rig = await Rig.open(service, sandbox_account(Nowhere(port)))
        call = await rig.authorize(a_command())
    await rig.close()

    assert State.NOT_SENT is call.state


class Nowhere:
    """A port that nobody listens on."""

    def __init__(self, port: int) -> None:
        self.ports = {"one": port}


@pytest.mark.parametrize(
    ("token", "state", "category"),
    [
        ("tok_decline_soft", State.DECLINED_SOFT, "SOFT"),
        ("tok_decline_insufficient_funds", State.DECLINED_HARD, "HARD"),
        ("tok_stolen", State.DECLINED_HARD, "NEVER"),
        ("tok_rate_limited", State.DECLINED_SOFT, "SOFT"),
        ("tok_unavailable", State.DECLINED_SOFT, "SOFT"),
        ("tok_nobody_knows_this_one", State.DECLINED_HARD, "HARD"),
        ("tok_500_before", State.IN_DOUBT, None),
        ("tok_500_after", State.IN_DOUBT, None),
        ("tok_pending", State.PENDING, None),
        ("tok_action_required", State.ACTION_REQUIRED, None),
        ("tok_wrong_amount", State.CONFLICTED, None),
        ("tok_wrong_currency", State.CONFLICTED, None),
        ("tok_wrong_reference", State.CONFLICTED, None),
    ],
)
async def test_what_the_processor_says_is_what_we_tell(rig, token, state, category):
    call = await rig.authorize(a_command(token=token))

    assert state is call.state
    assert category == (call.outcome.decline.category if call.outcome.decline else None)


async def test_a_wrong_answer_is_frozen_until_a_look_shows_what_was_charged(rig):
    command = a_command(token="tok_wrong_amount")

    frozen = await rig.authorize(command)
    again = await rig.authorize(command)
    looked = await rig.look_up(command)

    assert (State.CONFLICTED, Money(1350, "EUR")) == (frozen.state, frozen.outcome.amount)
    assert State.CONFLICTED is again.state
    assert (State.SUCCEEDED, Money(1250, "EUR")) == (looked.state, looked.outcome.amount)


@pytest.mark.parametrize(
    "amount", [Money(1999, "EUR"), Money(1999, "JPY"), Money(1999, "KWD")], ids=str
)
async def test_minor_units_arrive_as_they_left(rig, sandbox, amount):
    command = a_command(amount=amount)

    call = await rig.authorize(command)

    [charge] = await charges(sandbox, command.operation)
    assert (amount.minor, amount.asset) == (charge["moved"], charge["currency"])
    assert amount == call.outcome.amount
    assert amount.asset == call.outcome.settlement.expected_fee.asset


async def test_the_answer_carries_what_should_settle(rig):
    call = await rig.authorize(a_command())

    settlement = call.outcome.settlement
    assert ("v1", Money(36 + 25, "EUR")) == (
        settlement.fee_schedule_version, settlement.expected_fee,
    )  # fmt: skip
    assert 2 == (settlement.due_at - call.outcome.observed_at).days


async def test_a_caller_who_gives_up_does_not_end_the_flow(rig, sandbox):
    command = a_command(token="tok_slow_600")
    caller = asyncio.create_task(rig.authorize(command))
    await asyncio.sleep(0.2)

    caller.cancel()
    await rig.under_way.drain()

    assert State.SUCCEEDED is (await rig.found(command)).state
    assert 1 == len(await charges(sandbox, command.operation))
    [late] = await late_outcomes(rig, command.operation)
    assert "LATE_ANSWER" == late.source


async def test_who_waits_too_short_hears_that_it_is_in_doubt(rig):
    command = a_command(token="tok_slow_600")

    call, _ = await rig.flow(command, ORIGIN, wait_s=0.1)
    again = await rig.authorize(command)

    assert call is None
    assert State.SUCCEEDED is again.state


async def crash(rig: Rig, command: Any) -> None:
    """End the owner between its row and its answer, and let its lease lapse."""
    stalled = stall(rig)
    owner = asyncio.create_task(rig.authorize(command))
    await stalled.arrived.wait()
    [ticket] = rig.under_way._tickets.values()
    ticket.task.cancel()
    await asyncio.wait([owner])
    rig.terminals["one"] = Terminal(rig.terminals["one"].account, stalled._inner)
    await rig.lapse(command)


async def test_what_a_crash_left_is_resumed_and_told(rig, sandbox):
    command = a_command()
    await crash(rig, command)

    await rig.resumer.step()

    assert State.SUCCEEDED is (await rig.found(command)).state
    assert 1 == len(await charges(sandbox, command.operation))
    assert ["RESUME"] == [late.source for late in await late_outcomes(rig, command.operation)]


async def test_a_duplicate_goes_on_where_a_crash_ended(rig, sandbox):
    command = a_command()
    await crash(rig, command)

    call = await rig.authorize(command)

    assert State.SUCCEEDED is call.state
    assert 1 == len(await charges(sandbox, command.operation))


async def test_a_crash_after_the_charge_is_not_charged_again(rig, sandbox):
    """The first owner's request reached the processor; his successor sends under the same key."""
    command = a_command()
    await crash(rig, command)
    call = await rig.found(command)
    await rig.terminals["one"].processor.authorize(call, _never)

    await rig.resumer.step()

    assert State.SUCCEEDED is (await rig.found(command)).state
    assert 1 == len(await charges(sandbox, command.operation))


async def test_a_successor_who_cannot_send_does_not_say_not_sent(rig):
    """That his request was refused proves nothing about the one that the crash left."""
    command = a_command(token="tok_rate_limited")
    await crash(rig, command)

    await rig.resumer.step()

    assert State.IN_DOUBT is (await rig.found(command)).state


async def test_an_old_crash_is_only_asked_about(rig, sandbox):
    command = a_command()
    await crash(rig, command)
    await rig.as_owner(
        "UPDATE calls SET created_at = now() - interval '1 h' WHERE operation = $1",
        command.operation,
    )

    await rig.resumer.step()

    assert State.IN_DOUBT is (await rig.found(command)).state
    assert [] == await charges(sandbox, command.operation)


async def test_an_expired_operation_is_given_up_unsent(rig, sandbox):
    call = await rig.authorize(a_command(expire_at=SystemClock().now()))

    assert State.NOT_SENT is call.state
    assert [] == await charges(sandbox, call.operation)


async def test_an_account_that_does_not_fit_writes_nothing(rig):
    command = a_command(amount=Money(100, "GBP"))

    with pytest.raises(AccountNotEligible):
        await rig.authorize(command)

    assert await rig.found(command) is None


async def test_the_record_verifies_and_the_app_role_can_delete_nothing(rig):
    await rig.authorize(a_command())
    await rig.look_up(a_command())
    while await rig.sealer.step():
        pass

    verification = await verify(rig.database)

    assert [] == list(verification.findings)
    for table in ("calls", "steps", "seals"):
        connection = await asyncpg.connect(rig.service.app_url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608
        await connection.close()


async def test_no_token_is_in_the_audit_record(rig):
    await rig.authorize(a_command(token="tok_ok.very-secret"))

    rows = await rig.as_owner("SELECT payload FROM steps")

    assert not any("very-secret" in row["payload"] for row in rows)
    assert all(json.loads(row["payload"])["account"] for row in rows)


async def _never(reference: str) -> None:
    raise AssertionError(f"the sandbox needs no reference, and kept {reference}")
