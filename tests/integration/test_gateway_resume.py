"""The gateway against the sandbox: who comes after a crash ends what it left, and charges once."""

import asyncio
from typing import Any

from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.ports import Terminal
from tests.support.gateway_rig import Rig, a_command, a_follow_up, charges
from tests.support.gateway_sandbox import late_outcomes, rig, sandbox, service, stall

__all__ = ["rig", "sandbox", "service"]


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
    await rig.terminals["one"].processor.send(call, _never)

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


async def _never(reference: str) -> None:
    raise AssertionError(f"the sandbox needs no reference, and kept {reference}")


async def old(rig: Rig, command: Any) -> None:
    """Let a call be as old as what nobody waits for any more."""
    await rig.as_owner(
        "UPDATE calls SET created_at = now() - interval '1 h' WHERE operation = $1",
        command.operation,
    )


async def test_a_refund_that_a_crash_left_an_hour_ago_is_still_made(rig):
    """No second rail can do it, its merchant was promised it, and its key makes it safe."""
    paid = a_command()
    await rig.authorize(paid)
    refund = a_follow_up(Kind.REFUND, paid)
    await crash(rig, refund)
    await old(rig, refund)

    await rig.resumer.step()

    assert State.SUCCEEDED is (await rig.found(refund)).state


async def test_an_authorization_that_a_crash_left_an_hour_ago_is_only_asked_about(rig, sandbox):
    command = a_command()
    await crash(rig, command)
    await old(rig, command)

    await rig.resumer.step()

    assert State.IN_DOUBT is (await rig.found(command)).state
    assert [] == await charges(sandbox, command.operation)
