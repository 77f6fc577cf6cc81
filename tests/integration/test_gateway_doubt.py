"""The gateway against the sandbox: what is in doubt, and what alone ends a doubt."""

import asyncio

import pytest

from cashier_common.errors import OperationFenced
from cashier_common.money import Money
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.ports import Terminal
from tests.support.gateway_rig import ORIGIN, a_command, charges, sandbox_account
from tests.support.gateway_sandbox import late_outcomes, rig, sandbox, service, stall

__all__ = ["rig", "sandbox", "service"]


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


async def test_a_wrong_answer_is_frozen_until_a_look_shows_what_was_charged(rig):
    command = a_command(token="tok_wrong_amount")

    frozen = await rig.authorize(command)
    again = await rig.authorize(command)
    looked = await rig.look_up(command)

    assert (State.CONFLICTED, Money(1350, "EUR")) == (frozen.state, frozen.outcome.amount)
    assert State.CONFLICTED is again.state
    assert (State.SUCCEEDED, Money(1250, "EUR")) == (looked.state, looked.outcome.amount)


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
