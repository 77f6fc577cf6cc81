"""The gateway at the sandbox's Adyen: an answer now, the end by webhook, the ledger as judge."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cashier_common.clock import FixedClock
from cashier_common.money import Money
from cashier_gateway.clients.adyen.adapter import KEY_LIFE, AdyenProcessor
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.rpc.codec import late_to_proto
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import a_command, a_follow_up, a_payout
from tests.support.gateway_webhooks import hooks
from tests.support.postgres_fixture import Copies, postgres
from tests.support.sandbox_notices import ADYEN as NAME
from tests.support.sandbox_notices import (
    connect,
    happens,
    moved,
    sandbox,
    told_account,
    told_late,
    until,
)

__all__ = ["hooks", "postgres", "sandbox"]


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


def rests(call) -> bool:
    return call.state is not State.PENDING


async def test_fifty_at_once_charge_once(hooks, sandbox):
    await connect(hooks, sandbox, NAME)
    command = a_command(NAME)

    calls = await asyncio.gather(*(hooks.rig.authorize(command) for _ in range(50)))

    assert {State.SUCCEEDED} == {call.state for call in calls}
    assert [1250] == await moved(sandbox, command)


@pytest.mark.parametrize(
    "mischief",
    [{}, {"double_ppm": 1_000_000, "scatter_ms": 300, "forge_ppm": 1_000_000}],
    ids=["plain", "naughty"],
)
async def test_a_payments_life_ends_by_webhooks_whatever_they_do(hooks, sandbox, mischief):
    await connect(hooks, sandbox, NAME, **mischief)
    rig, root = hooks.rig, a_command(NAME, capture=False)
    await rig.authorize(root)
    part = a_follow_up(Kind.CAPTURE, root, 2, amount=Money(1000, "EUR"))
    received = await rig.authorize(part)
    captured = await until(hooks, part, rests)
    refund = a_follow_up(Kind.REFUND, part, 3, amount=Money(400, "EUR"))
    await rig.authorize(refund)
    refunded = await until(hooks, refund, rests)
    void = a_follow_up(Kind.VOID, root, 4, amount=Money(250, "EUR"))
    await rig.authorize(void)
    voided = await until(hooks, void, rests)

    assert State.PENDING is received.state
    assert [State.SUCCEEDED] * 3 == [captured.state, refunded.state, voided.state]
    assert (Money(1000, "EUR"), 18) == (
        captured.outcome.amount, captured.outcome.settlement.expected_fee.minor,
    )  # fmt: skip
    assert [1000, -400] == await moved(sandbox, part, refund)


async def test_a_payout_ends_by_its_webhook(hooks, sandbox):
    await connect(hooks, sandbox, NAME)
    command = a_payout(NAME)
    await hooks.rig.authorize(command)

    call = await until(hooks, command, rests)

    assert (State.SUCCEEDED, [-1250]) == (call.state, await moved(sandbox, command))


async def test_a_lost_answer_is_found_by_repeating_and_by_the_webhook(hooks, sandbox):
    await connect(hooks, sandbox, NAME)
    looked, told = a_command(NAME, "tok_lost_answer"), a_command(NAME, "tok_lost_answer")
    doubtful = [(await hooks.rig.authorize(command)).state for command in (looked, told)]

    found = await hooks.rig.look_up(looked)
    by_webhook = await until(hooks, told, lambda call: call.state is not State.IN_DOUBT)

    assert [State.IN_DOUBT] * 2 == doubtful
    assert [State.SUCCEEDED] * 2 == [found.state, by_webhook.state]
    assert [1250, 1250] == await moved(sandbox, looked, told)


async def test_what_was_refused_is_final_and_what_was_soft_is_not(hooks, sandbox):
    await connect(hooks, sandbox, NAME)

    soft = await hooks.rig.authorize(a_command(NAME, "tok_decline_soft"))
    hard = await hooks.rig.authorize(a_command(NAME, "tok_decline_insufficient_funds"))
    stolen = await hooks.rig.authorize(a_command(NAME, "tok_stolen"))

    assert [State.DECLINED_SOFT, State.DECLINED_HARD, State.DECLINED_HARD] == [
        call.state for call in (soft, hard, stolen)
    ]
    assert ("INSUFFICIENT_FUNDS", "NEVER") == (
        hard.outcome.decline.meaning, stolen.outcome.decline.category,
    )  # fmt: skip


async def test_a_customer_who_has_to_act_gets_a_page(hooks, sandbox):
    await connect(hooks, sandbox, NAME)

    call = await hooks.rig.authorize(a_command(NAME, "tok_action_required"))

    assert State.ACTION_REQUIRED is call.state
    assert call.outcome.action.url.startswith("http")


async def test_a_finished_action_is_told_by_webhook(hooks, sandbox):
    await connect(hooks, sandbox, NAME)
    command = a_command(NAME, "tok_action_required")
    call = await hooks.rig.authorize(command)
    async with sandbox.control() as control:
        page = call.outcome.action.url.partition("?")[0]
        _, answered, _ = await control.ask("POST", page, {"outcome": "approve"})
    details = {"details": {"redirectResult": answered["redirectResult"]}}
    processor = hooks.rig.terminals[NAME].processor
    await processor._line.ask(
        "POST", "/v71/payments/details", processor._timeout,
        headers=processor._headers, body=_json(details),
    )  # fmt: skip

    done = await until(hooks, command, lambda call: call.state is not State.ACTION_REQUIRED)

    assert (State.SUCCEEDED, 16) == (done.state, len(done.reference))
    assert [1250] == await moved(sandbox, command)


async def test_whole_units_of_the_icelandic_kind_are_the_same_money(hooks, sandbox):
    await connect(hooks, sandbox, NAME)
    command = a_command(NAME, amount=Money(500, "ISK"))

    call = await hooks.rig.authorize(command)

    assert (Money(500, "ISK"), [500]) == (call.outcome.amount, await moved(sandbox, command))


async def test_a_chargeback_is_told_as_a_dispute(hooks, sandbox):
    await connect(hooks, sandbox, NAME)
    command = a_command(NAME)
    call = await hooks.rig.authorize(command)
    await happens(sandbox, command, "chargeback", {"reason": "fraudulent"})

    told = await told_late(hooks, call, lambda told: len(told) == len(("announced", "taken")))

    outcomes = [late_to_proto(one).outcome for one in told]
    assert {outcomes[0].STATE_DISPUTED} == {outcome.state for outcome in outcomes}
    assert [False, True] == sorted(outcome.dispute.funds_withdrawn for outcome in outcomes)
    assert {1250} == {outcome.dispute.amount.minor for outcome in outcomes}


async def test_a_key_that_is_too_old_is_not_repeated(hooks, sandbox):
    """Behind Adyen's memory a repetition would be a second payment."""
    await connect(hooks, sandbox, NAME)
    command = a_command(NAME)
    call = replace(await hooks.rig.authorize(command), state=State.IN_DOUBT)
    late = datetime.now(UTC) + KEY_LIFE + timedelta(minutes=1)
    processor = AdyenProcessor(
        told_account(sandbox, NAME), base_url="http://127.0.0.1:9", credential="x",
        clock=FixedClock(late),
    )  # fmt: skip

    answer = await processor.close_door(call.fenced_off())

    assert (Event.LOSE_TRACK, True) == (answer.event, "too old" in answer.detail)
    await processor.close()


async def test_a_refused_repetition_says_nothing_about_the_first_request(hooks, sandbox):
    await connect(hooks, sandbox, NAME)
    command = a_command(NAME, "tok_lost_answer")
    call = await hooks.rig.authorize(command)
    account = told_account(sandbox, NAME)
    stranger = AdyenProcessor(account, base_url=account.base_url, credential="another-key")

    answer = await stranger.look_up(call)

    assert Event.LOSE_TRACK is answer.event
    await stranger.close()


def _json(body) -> bytes:
    import orjson  # noqa: PLC0415 - one test speaks for the customer's browser

    return orjson.dumps(body)
