"""The gateway against localstripe, which ignores keys: nothing but a void is ever sent twice."""

import asyncio

import pytest

from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.ports import Terminal
from tests.integration.test_gateway_stripe import (
    a_stripe_command,
    pytestmark,
    rig,
    service,
    stripe,
)
from tests.support.gateway_rig import a_follow_up, adapter
from tests.support.gateway_sandbox import stall
from tests.support.localstripe_process import stripe_account
from tests.support.postgres_fixture import postgres
from tests.support.wire import Wire

__all__ = ["postgres", "pytestmark", "rig", "service", "stripe"]
CAPTURE, VOID, REFUND = Kind.CAPTURE, Kind.VOID, Kind.REFUND
PATHS = {CAPTURE: b"/capture", VOID: b"/cancel", REFUND: b"POST /v1/refunds"}
ABLE = {"partial_capture": True, "refund": True}


@pytest.fixture(autouse=True)
async def able(rig, stripe) -> None:
    await speak_through(rig, stripe.port)


async def speak_through(rig, port: int) -> None:
    """Give the account what localstripe can do, at a port."""
    await rig.terminals["localstripe"].processor.close()
    account = stripe_account(
        port,
        capabilities=ABLE,
        refused_fields=["allowed_payment_method_types", "return_url", "capture_metadata", "reason"],
    )
    rig.terminals["localstripe"] = Terminal(account, adapter(account))


async def done(rig, stripe, *, capture: bool):
    command = await a_stripe_command(stripe, capture=capture)
    assert State.SUCCEEDED is (await rig.authorize(command)).state
    return command


async def prepared(rig, stripe, kind: Kind, **asked):
    return a_follow_up(kind, await done(rig, stripe, capture=kind is REFUND), **asked)


async def refunds(stripe, rig, command) -> list[int]:
    """What localstripe gave back of the command's target."""
    call = await rig.found(command)
    intent = call.request.authorization_reference
    listed = await stripe.ask("GET", f"/v1/refunds?payment_intent={intent}")
    return [refund["amount"] for refund in listed["data"] if refund["metadata"]]


async def intent_of(stripe, rig, command):
    call = await rig.found(command)
    return await stripe.ask("GET", f"/v1/payment_intents/{call.request.authorization_reference}")


async def test_ten_captures_at_once_are_one(rig, stripe):
    command = await prepared(rig, stripe, CAPTURE)

    calls = await asyncio.gather(*(rig.authorize(command) for _ in range(10)))

    assert {State.SUCCEEDED} == {call.state for call in calls}
    assert "succeeded" == (await intent_of(stripe, rig, command))["status"]
    assert calls[0].reference.startswith("ch_")


async def test_a_void_cancels_the_intent(rig, stripe):
    command = await prepared(rig, stripe, VOID)

    call = await rig.authorize(command)

    assert (State.SUCCEEDED, Money(1250, "EUR")) == (call.state, call.outcome.amount)
    assert "canceled" == (await intent_of(stripe, rig, command))["status"]


async def test_ten_refunds_at_once_are_one(rig, stripe):
    command = await prepared(rig, stripe, REFUND, amount=Money(500, "EUR"), reason="duplicate")

    calls = await asyncio.gather(*(rig.authorize(command) for _ in range(10)))

    assert {State.SUCCEEDED} == {call.state for call in calls}
    assert [500] == await refunds(stripe, rig, command)


@pytest.mark.parametrize("kind", [CAPTURE, VOID, REFUND])
async def test_a_lost_answer_is_found_by_what_the_object_shows(rig, stripe, kind):
    command = await prepared(rig, stripe, kind)
    async with Wire(stripe.port).open() as wire:
        wire.loses_answers_to = PATHS[kind]
        await speak_through(rig, wire.port)
        doubtful = await rig.authorize(command)
    await speak_through(rig, stripe.port)

    found = await rig.look_up(command)

    assert (State.IN_DOUBT, State.SUCCEEDED) == (doubtful.state, found.state)


@pytest.mark.parametrize(
    ("kind", "state"),
    [(CAPTURE, State.IN_DOUBT), (REFUND, State.IN_DOUBT), (VOID, State.SUCCEEDED)],
)
async def test_a_second_owner_looks_instead_of_sending_again(rig, stripe, kind, state):
    """The first owner died before he sent. Without keys nobody can know that: nobody repeats it."""
    command = await prepared(rig, stripe, kind)
    stalled = stall(rig, "localstripe")
    owner = asyncio.create_task(rig.authorize(command))
    await stalled.arrived.wait()
    [ticket] = rig.under_way._tickets.values()
    ticket.task.cancel()
    await asyncio.wait([owner])
    await speak_through(rig, stripe.port)
    await rig.lapse(command)

    await rig.resumer.step()
    looked = await rig.look_up(command)

    assert [state] * 2 == [(await rig.found(command)).state, looked.state]
    if kind is REFUND:
        assert [] == await refunds(stripe, rig, command)
    else:
        status = "requires_capture" if kind is CAPTURE else "canceled"
        assert status == (await intent_of(stripe, rig, command))["status"]
