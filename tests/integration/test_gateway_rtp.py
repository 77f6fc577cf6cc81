"""An instant credit answers at once, or its end-to-end id is closed and the truth is known."""

import asyncio
import socket
from dataclasses import replace

import pytest

from cashier_common.errors import OperationFenced
from cashier_common.ids import downstream_key
from cashier_gateway.domain.ach import end_to_end_id
from cashier_gateway.domain.lifecycle import Event, State
from tests.support.gateway_bank import BANK, BankRig, keep, rig, sandbox, service
from tests.support.postgres_fixture import postgres

__all__ = ["postgres", "rig", "sandbox", "service"]


async def test_an_instant_payout_answers_at_once(rig):
    command = await rig.payout("RTP")

    call = await rig.rig.authorize(command)

    assert (State.SUCCEEDED, [-1_250]) == (call.state, await rig.moved(command))


@pytest.mark.some(3)
@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        ("tok_lost_answer", State.SUCCEEDED),
        ("tok_500_after", State.SUCCEEDED),
        ("tok_500_before_1", State.NOT_FOUND),
        ("tok_decline_invalid_account", State.DECLINED_HARD),
        ("tok_decline_issuer_unavailable", State.DECLINED_SOFT),
        ("tok_wrong_amount", State.CONFLICTED),
    ],
)
async def test_an_instant_payout_in_doubt_ends_behind_its_closed_id(rig, behaviour, state):
    command = await rig.payout("RTP", behaviour)

    first = await rig.rig.authorize(command)
    call = first
    if first.state is State.IN_DOUBT:
        call = await rig.rig.look_up(command)

    assert state is call.state
    moves = {State.SUCCEEDED, State.CONFLICTED}
    assert ([-1_250] if state in moves else []) == await rig.moved(command)


async def test_an_instant_payout_that_is_sent_twice_moves_money_once(rig):
    command = await rig.payout("RTP")
    call = await rig.rig.authorize(command)

    again = await rig.bank.send(replace(call, lease_epoch=2), keep)

    assert (Event.SUCCEED, call.reference) == (again.event, again.reference)
    assert [-1_250] == await rig.moved(command)


async def test_an_instant_payout_without_a_connection_is_not_sent(service, sandbox, rig):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        alone = await BankRig.open(
            service, sandbox, base_url=f"http://127.0.0.1:{nobody.getsockname()[1]}"
        )
        command = await rig.payout("RTP")

        call = await alone.rig.authorize(command)

        await alone.rig.close()
    assert State.NOT_SENT is call.state


async def test_an_instant_payout_that_arrives_after_its_door_closed_does_nothing(rig):
    command = await rig.payout("RTP", "tok_held_1")
    impatient = asyncio.create_task(rig.rig.authorize(command))
    async with rig.client() as client:
        while True:  # until the bank has it
            name = end_to_end_id(downstream_key(command.operation, BANK))
            status, _, _ = await client.ask("POST", f"/rtp/credit_transfers/{name}/close")
            if status == 200:
                break

    call = await impatient

    assert State.SUCCEEDED is not call.state
    assert [] == await rig.moved(command)


@pytest.mark.some(2)
@pytest.mark.parametrize("trick", ["double", "forge", "alter"])
async def test_a_webhook_ends_a_pending_instant_payout_once(rig, trick):
    command = await rig.payout("RTP", "tok_pending")
    pending = await rig.rig.authorize(command)
    body, headers = await rig.webhook_of(command, pending.reference, trick)

    taken = await rig.deliver(headers, body, times=2 if trick == "double" else 1)

    state = {"double": State.SUCCEEDED, "forge": State.PENDING, "alter": State.CONFLICTED}[trick]
    assert (State.PENDING, state) == (pending.state, (await rig.call(command)).state)
    assert (0 if trick == "forge" else 1) == taken


async def test_a_debit_over_the_rail_of_instant_credits_is_refused(rig):
    command = await rig.debit()
    command = replace(command, request=replace(command.request, method="RTP"))

    call = await rig.rig.authorize(command)

    assert (State.DECLINED_HARD, "credits_only") == (call.state, call.outcome.decline.code)
    assert None is await rig.book.find(merchant=command.merchant, operation=command.operation)


async def test_the_door_of_an_instant_payout_that_was_never_seen_can_be_closed(rig):
    command = await rig.payout("RTP")

    closed = await rig.rig.look_up(command)
    with pytest.raises(OperationFenced):
        await rig.rig.authorize(command)

    assert State.NOT_FOUND is closed.state
    assert [] == await rig.moved(command)
