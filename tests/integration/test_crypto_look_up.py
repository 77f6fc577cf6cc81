"""What a look at a deposit tells, and which doors it closes for good."""

from dataclasses import replace

import pytest

from cashier_common.errors import OperationFenced, OperationReused, PeerUnavailable
from cashier_common.money import Money
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.domain.outcome import Verdict
from cashier_crypto.flows.look_up import Question
from tests.support.crypto_deposits import chain, rig, service
from tests.support.crypto_rig import CONFIRMATIONS, ORIGIN, a_command, question

__all__ = ["chain", "rig", "service"]


async def test_a_look_up_tells_how_it_stands(rig):
    transfer = await rig.authorize()
    awaited = await rig.look_up(transfer)
    rig.chain.pay(transfer.address, 12_500_000)
    await rig.watch()
    seen = await rig.look_up(transfer, close_door=True)
    rig.chain.mine(CONFIRMATIONS)
    await rig.watch()

    credited = await rig.look_up(transfer)

    assert (Verdict.ACTION_REQUIRED, Verdict.PENDING, Verdict.SUCCEEDED) == (
        awaited.verdict, seen.verdict, credited.verdict,
    )  # fmt: skip
    assert await rig.told(transfer) == [credited]


async def test_a_closed_door_retires_the_address_for_good(rig):
    command = a_command()
    transfer = await rig.authorize(command)

    closed = await rig.look_up(transfer, close_door=True)
    again = await rig.look_up(transfer, close_door=True)
    await rig.pay_through(transfer)

    assert (Verdict.NOT_FOUND, Verdict.NOT_FOUND) == (closed.verdict, again.verdict)
    assert State.EXPIRED is (await rig.now(transfer)).state
    assert ["AWAIT", "LATE_RETIRE", "LATE"] == await rig.actions(transfer)
    with pytest.raises(OperationFenced):
        await rig.authorize(command)


async def test_a_door_is_not_closed_on_a_payment_that_was_not_read_yet(rig):
    transfer = await rig.authorize()
    rig.chain.pay(transfer.address, 12_500_000)

    outcome = await rig.look_up(transfer, close_door=True)

    assert Verdict.PENDING is outcome.verdict
    assert State.AWAITED is (await rig.now(transfer)).state


async def test_no_door_is_closed_while_the_chain_is_silent(rig):
    transfer = await rig.authorize()
    rig.asking = replace(rig.asking, endpoint=None)

    with pytest.raises(PeerUnavailable):
        await rig.look_up(transfer, close_door=True)

    assert State.AWAITED is (await rig.now(transfer)).state


async def test_an_operation_that_never_came_is_fenced_when_its_door_is_closed(rig):
    command = a_command()
    asked = question_of(command, close_door=False)
    _, before = await rig.asking(asked, ORIGIN)
    _, fenced = await rig.asking(replace(asked, close_door=True), ORIGIN)

    assert (Verdict.IN_DOUBT, Verdict.NOT_FOUND) == (before.verdict, fenced.verdict)
    with pytest.raises(OperationFenced):
        await rig.authorize(command)


async def test_a_look_up_about_another_amount_is_refused(rig):
    transfer = await rig.authorize()
    asked = replace(question(transfer, close_door=True), amount=Money(1, "USDC"))

    with pytest.raises(OperationReused):
        await rig.asking(asked, ORIGIN)


def question_of(command, *, close_door):
    return Question(
        merchant=command.merchant, operation=command.operation, account=command.account,
        amount=command.amount, close_door=close_door,
    )  # fmt: skip
