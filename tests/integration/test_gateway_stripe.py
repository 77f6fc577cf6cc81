"""The gateway against localstripe: keys are ignored there, and still nothing is charged twice."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from cashier_common.money import Money
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.ports import Terminal
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import Rig, a_command, adapter
from tests.support.localstripe_process import (
    LOCALSTRIPE,
    LocalStripe,
    running_localstripe,
    stripe_account,
)
from tests.support.postgres_fixture import Copies, postgres
from tests.support.wire import Wire

__all__ = ["postgres"]
pytestmark = pytest.mark.skipif(
    not LOCALSTRIPE.exists(), reason="localstripe is not installed: run `make setup`"
)
DECLINES = "4000000000000341"
AUTHENTICATES = "4000002500003155"


@pytest.fixture(scope="module")
def stripe(tmp_path_factory) -> Iterator[LocalStripe]:
    with running_localstripe(tmp_path_factory.mktemp("localstripe") / "log") as process:
        yield process


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


@pytest.fixture
async def rig(service: ServiceDatabase, stripe: LocalStripe) -> AsyncIterator[Rig]:
    opened = await Rig.open(service, stripe_account(stripe.port))
    yield opened
    await opened.close()


async def a_stripe_command(stripe: LocalStripe, number: str = "4242424242424242", **changes):
    return a_command("localstripe", await stripe.a_card(number), **changes)


async def through(rig: Rig, port: int) -> None:
    """Let the adapter speak through a wire."""
    await rig.terminals["localstripe"].processor.close()
    account = stripe_account(port)
    rig.terminals["localstripe"] = Terminal(account, adapter(account))


async def test_fifty_at_once_charge_once_though_keys_are_ignored(rig, stripe):
    command = await a_stripe_command(stripe)

    calls = await asyncio.gather(*(rig.authorize(command) for _ in range(50)))

    assert 1 == len(await stripe.charged(command.operation))
    assert {(State.SUCCEEDED, calls[0].reference)} == {(c.state, c.reference) for c in calls}


async def test_two_processes_asked_at_once_charge_once(rig, stripe):
    twin, command = await rig.twin(), await a_stripe_command(stripe)

    calls = await asyncio.gather(*(r.authorize(command) for r in (rig, twin) * 5))

    assert 1 == len(await stripe.charged(command.operation))
    assert {State.SUCCEEDED} == {call.state for call in calls}
    await twin.close()


async def test_an_authorization_without_capture_waits_for_it(rig, stripe):
    command = await a_stripe_command(stripe, capture=False)

    call = await rig.authorize(command)

    [intent] = await stripe.intents(command.operation)
    assert (State.SUCCEEDED, "requires_capture") == (call.state, intent["status"])


async def test_a_decline_is_a_decline(rig, stripe):
    call = await rig.authorize(await a_stripe_command(stripe, DECLINES))

    assert (State.DECLINED_HARD, "DO_NOT_HONOR") == (call.state, call.outcome.decline.meaning)


async def test_an_authentication_is_asked_for(rig, stripe):
    command = await a_stripe_command(stripe, AUTHENTICATES)

    call = await rig.authorize(command)

    assert State.ACTION_REQUIRED is call.state
    assert "client_secret" in call.outcome.action.data


async def test_a_finished_authentication_is_found(rig, stripe):
    command = await a_stripe_command(stripe, AUTHENTICATES)
    call = await rig.authorize(command)
    secret = call.outcome.action.data["client_secret"]
    form = {"key": "pk_test_x", "client_secret": secret, "success": "true"}
    await stripe.ask("POST", f"/v1/payment_intents/{call.reference}/_authenticate", form)

    found = await rig.look_up(command)

    assert State.SUCCEEDED is found.state


async def test_whole_units_arrive_as_whole_units(rig, stripe):
    command = await a_stripe_command(stripe, amount=Money(500, "JPY"))

    call = await rig.authorize(command)

    [intent] = await stripe.intents(command.operation)
    assert (500, "jpy") == (intent["amount"], intent["currency"])
    assert Money(500, "JPY") == call.outcome.amount


async def test_a_token_that_is_not_there_is_refused_and_not_tried_elsewhere(rig):
    call = await rig.authorize(a_command("localstripe", "pm_nobody"))

    assert State.DECLINED_HARD is call.state


async def test_a_lost_confirmation_is_in_doubt_and_looking_finds_the_truth(rig, stripe):
    async with Wire(stripe.port).open() as wire:
        wire.loses_answers_to = b"/confirm"
        await through(rig, wire.port)
        command = await a_stripe_command(stripe)

        doubtful = await rig.authorize(command)
        found = await rig.look_up(command)

    assert (State.IN_DOUBT, State.SUCCEEDED) == (doubtful.state, found.state)
    assert 1 == len(await stripe.charged(command.operation))


async def test_a_lost_creation_is_not_found_because_nobody_confirms_it(rig, stripe):
    async with Wire(stripe.port).open() as wire:
        wire.loses_answers_to = b"POST /v1/payment_intents HTTP"
        await through(rig, wire.port)
        command = await a_stripe_command(stripe)

        doubtful = await rig.authorize(command)
        found = await rig.look_up(command)

    assert (State.IN_DOUBT, State.NOT_FOUND) == (doubtful.state, found.state)
    assert ["requires_confirmation"] == [
        intent["status"] for intent in await stripe.intents(command.operation)
    ]
    assert [] == await stripe.charged(command.operation)


class Halted:
    """Stops the real adapter's owner after its intent was recorded and before the confirmation."""

    def __init__(self, processor, *, before_keep: bool) -> None:
        self._processor, self._before_keep = processor, before_keep
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._processor, name)

    async def send(self, call, keep):
        async def halting(reference):
            if not self._before_keep:
                await keep(reference)
            self.arrived.set()
            await self.go_on.wait()
            if self._before_keep:
                await keep(reference)

        return await self._processor.send(call, halting)


def halt(rig: Rig, *, before_keep: bool) -> Halted:
    terminal = rig.terminals["localstripe"]
    halted = Halted(terminal.processor, before_keep=before_keep)
    rig.terminals["localstripe"] = Terminal(terminal.account, halted)
    return halted


@pytest.mark.parametrize("before_keep", [True, False])
async def test_a_stalled_owner_that_wakes_up_behind_a_fence_charges_nothing(
    rig, stripe, before_keep
):
    halted, command = halt(rig, before_keep=before_keep), await a_stripe_command(stripe)
    owner = asyncio.create_task(rig.authorize(command))
    await halted.arrived.wait()

    closed = await rig.look_up(command)
    halted.go_on.set()
    told = await owner

    assert (State.NOT_FOUND, State.NOT_FOUND) == (closed.state, told.state)
    assert [] == await stripe.charged(command.operation)


@pytest.mark.parametrize("before_keep", [True, False])
async def test_what_a_crash_between_create_and_confirm_left_is_charged_once(
    rig, stripe, before_keep
):
    halted, command = halt(rig, before_keep=before_keep), await a_stripe_command(stripe)
    owner = asyncio.create_task(rig.authorize(command))
    await halted.arrived.wait()
    [ticket] = rig.under_way._tickets.values()
    ticket.task.cancel()
    await asyncio.wait([owner])
    await rig.lapse(command)
    halted.go_on.set()
    rig.terminals["localstripe"] = Terminal(rig.terminals["localstripe"].account, halted._processor)

    await rig.resumer.step()

    assert State.SUCCEEDED is (await rig.found(command)).state
    assert 1 == len(await stripe.charged(command.operation))


async def test_a_crash_after_the_confirmation_is_not_charged_again(rig, stripe):
    """The successor confirms the same intent, is refused, and believes the intent itself."""
    halted, command = halt(rig, before_keep=False), await a_stripe_command(stripe)
    owner = asyncio.create_task(rig.authorize(command))
    await halted.arrived.wait()
    [ticket] = rig.under_way._tickets.values()
    ticket.task.cancel()
    await asyncio.wait([owner])
    left = await rig.found(command)
    await stripe.ask("POST", f"/v1/payment_intents/{left.reference}/confirm")
    await rig.lapse(command)
    halted.go_on.set()

    call = await rig.authorize(command)

    assert State.SUCCEEDED is call.state
    assert 1 == len(await stripe.charged(command.operation))


async def test_an_intent_of_another_operation_is_a_conflict(rig, stripe):
    command, other = await a_stripe_command(stripe), await a_stripe_command(stripe)
    theirs = await rig.authorize(other)
    async with Wire(stripe.port).open() as wire:
        wire.loses_answers_to = b"/confirm"
        await through(rig, wire.port)
        await rig.authorize(command)
    await rig.as_owner(
        "UPDATE calls SET reference = $1 WHERE operation = $2", theirs.reference, command.operation
    )
    await through(rig, stripe.port)

    found = await rig.look_up(command)

    assert State.CONFLICTED is found.state


async def test_where_keys_are_honoured_one_request_does_it(service, stripe):
    """localstripe ignores the key, so this shows the request alone; see DECISIONS.md."""
    rig = await Rig.open(service, stripe_account(stripe.port, honours_idempotency_keys=True))
    command = await a_stripe_command(stripe)

    call = await rig.authorize(command)

    assert (State.SUCCEEDED, 1) == (call.state, len(await stripe.intents(command.operation)))
    await rig.close()
