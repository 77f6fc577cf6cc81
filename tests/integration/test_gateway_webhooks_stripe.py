"""The sandbox's Stripe tells what became of payments; the gateway believes it and nothing else."""

import asyncio
from collections.abc import Iterator

import pytest

from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.rpc.codec import late_to_proto
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import a_command, a_follow_up, a_payout
from tests.support.gateway_webhooks import hooks
from tests.support.postgres_fixture import Copies, postgres
from tests.support.sandbox_notices import (
    STRIPE,
    connect,
    happens,
    moved,
    sandbox,
    told_late,
    until,
)

__all__ = ["hooks", "postgres", "sandbox"]
MISCHIEF = {"double_ppm": 1_000_000, "scatter_ms": 300, "forge_ppm": 500_000}


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


async def test_a_lost_answer_is_ended_by_the_webhook(hooks, sandbox):
    await connect(hooks, sandbox, STRIPE, **MISCHIEF)
    command = a_command(STRIPE, "tok_lost_answer")
    doubtful = await hooks.rig.authorize(command)

    call = await until(hooks, command, lambda call: call.state is not State.IN_DOUBT)

    assert (State.IN_DOUBT, State.SUCCEEDED) == (doubtful.state, call.state)
    assert (Money(1250, "EUR"), [1250]) == (call.outcome.amount, await moved(sandbox, command))


async def test_a_pending_payment_may_end_in_a_decline(hooks, sandbox):
    await connect(hooks, sandbox, STRIPE)
    command = a_command(STRIPE, "tok_pending_decline_1")
    waiting = await hooks.rig.authorize(command)

    call = await until(hooks, command, lambda call: call.state is not State.PENDING)

    assert (State.PENDING, State.DECLINED_HARD) == (waiting.state, call.state)


async def test_what_the_gateway_did_itself_is_told_to_nobody_again(hooks, sandbox):
    await connect(hooks, sandbox, STRIPE, **MISCHIEF)
    rig, root = hooks.rig, a_command(STRIPE, capture=False)
    capture = a_follow_up(Kind.CAPTURE, root, 2)
    refund = a_follow_up(Kind.REFUND, capture, 3, amount=Money(400, "EUR"))
    payout = a_payout(STRIPE)
    calls = [await rig.authorize(command) for command in (root, capture, refund, payout)]
    await asyncio.sleep(1.5)

    await hooks.take()

    results = {result for _, result, _ in await hooks.letters()}
    assert {State.SUCCEEDED} == {call.state for call in calls[:3]}
    assert {"KNOWN"} <= results <= {"KNOWN", "NOTHING", "STALE", "APPLIED"}
    assert [] == [late for call in calls for late in await hooks.told(call) if late.told]


async def test_a_dispute_is_told_from_its_opening_to_its_end(hooks, sandbox):
    await connect(hooks, sandbox, STRIPE)
    command = a_command(STRIPE)
    call = await hooks.rig.authorize(command)
    await happens(sandbox, command, "chargeback", {"reason": "fraudulent"})

    told = await told_late(hooks, call, lambda told: told[-1].dispute.funds_withdrawn)

    dispute = late_to_proto(told[-1]).outcome.dispute
    assert (1250, dispute.STATE_OPEN, dispute.STAGE_CHARGEBACK) == (
        dispute.amount.minor, dispute.state, dispute.stage,
    )  # fmt: skip
    assert dispute.processor_reference.startswith("dp_")
