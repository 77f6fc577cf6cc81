"""The gateway against the sandbox: captures, voids, refunds and payouts, each once and no more."""

import asyncio
from dataclasses import replace

import pytest

from cashier_common.errors import OperationFenced, OperationReused
from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from tests.support.gateway_operations import (
    MOVES,
    a_charge,
    an_authorization,
    moved,
    prepared,
    use,
)
from tests.support.gateway_rig import (
    a_command,
    a_follow_up,
    a_payout,
    entries_of,
)
from tests.support.gateway_sandbox import late_outcomes, rig, sandbox, service

__all__ = ["rig", "sandbox", "service"]
CAPTURE, VOID, REFUND = Kind.CAPTURE, Kind.VOID, Kind.REFUND


@pytest.mark.parametrize("kind", list(Kind))
async def test_twenty_at_once_in_two_processes_move_it_once(rig, sandbox, kind):
    twin, command = await rig.twin(), await prepared(rig, kind)

    calls = await asyncio.gather(*(r.authorize(command) for r in (rig, twin) * 10))

    assert {(State.SUCCEEDED, calls[0].reference)} == {(c.state, c.reference) for c in calls}
    assert 1 == len(await entries_of(sandbox, command.operation))
    assert [MOVES[kind]] == await moved(sandbox, command)
    await twin.close()


@pytest.mark.parametrize("kind", list(Kind))
async def test_another_request_under_the_same_operation_is_refused(rig, kind):
    command = await prepared(rig, kind)
    await rig.authorize(command)

    with pytest.raises(OperationReused):
        await rig.authorize(replace(command, amount=Money(1249, "EUR")))


@pytest.mark.parametrize("kind", [CAPTURE, VOID, REFUND])
async def test_a_lost_answer_is_in_doubt_and_looking_finds_the_truth(rig, sandbox, kind):
    command = await prepared(rig, kind)
    async with sandbox.control() as control:
        rules = {"rules": [{"behaviour": "lost_answer", "operation": kind.value, "times": 1}]}
        await control.ask("PUT", "/control/accounts/one/rules", rules)
        doubtful = await rig.authorize(command)
        await control.ask("PUT", "/control/accounts/one/rules", {"rules": []})
    found = await rig.look_up(command)

    assert (State.IN_DOUBT, State.SUCCEEDED) == (doubtful.state, found.state)
    assert [MOVES[kind]] == await moved(sandbox, command)
    [late] = await late_outcomes(rig, command.operation)
    assert (State.SUCCEEDED, "LOOK_UP") == (late.state, late.source)


@pytest.mark.parametrize("kind", [CAPTURE, VOID, REFUND])
async def test_what_was_never_seen_is_fenced_before_it_is_not_found(rig, sandbox, kind):
    command = await prepared(rig, kind)

    closed = await rig.look_up(command)

    assert State.NOT_FOUND is closed.state
    with pytest.raises(OperationFenced):
        await rig.authorize(command)
    assert [] == await entries_of(sandbox, command.operation)


async def test_several_captures_take_no_more_than_was_held(rig, sandbox):
    held = await an_authorization(rig)
    parts = [
        a_follow_up(CAPTURE, held, number, amount=Money(minor, "EUR"))
        for number, minor in ((2, 500), (3, 400), (4, 351))
    ]

    calls = [await rig.authorize(part) for part in parts]

    assert [State.SUCCEEDED, State.SUCCEEDED, State.DECLINED_HARD] == [c.state for c in calls]
    assert "NOT_CAPTURABLE" == calls[2].outcome.decline.meaning
    assert [500, 400, 0] == await moved(sandbox, *parts)
    references = {call.reference for call in calls[:2]}
    assert 2 == len(references)
    assert all(reference.startswith("cap_") for reference in references)


async def test_a_final_capture_releases_the_rest(rig, sandbox):
    held = await an_authorization(rig)
    first = a_follow_up(CAPTURE, held, amount=Money(500, "EUR"), final=True)
    second = a_follow_up(CAPTURE, held, 3, amount=Money(100, "EUR"))

    calls = [await rig.authorize(part) for part in (first, second)]

    assert [State.SUCCEEDED, State.DECLINED_HARD] == [call.state for call in calls]
    assert [500, 0] == await moved(sandbox, first, second)


async def test_the_rest_of_a_captured_authorization_can_be_voided(rig):
    held = await an_authorization(rig)
    await rig.authorize(a_follow_up(CAPTURE, held, amount=Money(500, "EUR")))

    void = await rig.authorize(a_follow_up(VOID, held, 3, amount=Money(750, "EUR")))

    assert (State.SUCCEEDED, Money(750, "EUR")) == (void.state, void.outcome.amount)
    assert void.outcome.settlement is None


async def test_a_void_of_another_amount_than_was_released_is_a_conflict(rig):
    held = await an_authorization(rig)
    await rig.authorize(a_follow_up(CAPTURE, held, amount=Money(500, "EUR")))

    void = await rig.authorize(a_follow_up(VOID, held, 3))

    assert (State.CONFLICTED, Money(750, "EUR")) == (void.state, void.outcome.amount)


async def test_a_capture_can_be_refunded_by_its_own_name(rig, sandbox):
    held = await an_authorization(rig)
    capture = a_follow_up(CAPTURE, held, amount=Money(500, "EUR"))
    await rig.authorize(capture)

    refund = a_follow_up(REFUND, capture, 3, amount=Money(200, "EUR"), reason="not as described")
    call = await rig.authorize(refund)

    assert State.SUCCEEDED is call.state
    assert call.reference.startswith("re_")
    assert [-200] == await moved(sandbox, refund)
    assert Money(0, "EUR") == call.outcome.settlement.expected_fee


async def test_a_hundred_refunds_at_once_never_give_back_more_than_was_captured(rig, sandbox):
    charge = await a_charge(rig)
    refunds = [a_follow_up(REFUND, charge, n, amount=Money(25, "EUR")) for n in range(2, 102)]

    calls = await asyncio.gather(*(rig.authorize(refund) for refund in refunds))

    states = [call.state for call in calls]
    assert (50, 50) == (states.count(State.SUCCEEDED), states.count(State.DECLINED_HARD))
    assert -1250 == sum(await moved(sandbox, *refunds))


@pytest.mark.parametrize("token", ["tok_pending", "tok_action_required"])
async def test_a_void_that_ends_a_waiting_authorization_tells_of_both(rig, sandbox, token):
    waiting = a_command(token=token, capture=False)
    await rig.authorize(waiting)
    void = a_follow_up(VOID, waiting)

    call = await rig.authorize(void)

    left = await rig.found(waiting)
    if token == "tok_pending":  # the sandbox lets nobody void what its issuer still thinks about
        assert (State.DECLINED_HARD, State.PENDING) == (call.state, left.state)
        return
    assert (State.SUCCEEDED, State.EXPIRED) == (call.state, left.state)
    [late] = await late_outcomes(rig, waiting.operation)
    assert (State.EXPIRED, "VOID", left.reference) == (late.state, late.source, late.reference)
    assert [] == await late_outcomes(rig, void.operation)
    assert [0, 0] == await moved(sandbox, waiting, void)


async def test_a_payout_is_paid_once_and_says_what_it_costs(rig, sandbox):
    fees = {"version": "v1", "percent_bps": 290, "payout_fixed": {"EUR": 25}}
    use(rig, sandbox, fees=fees)
    command = a_payout()

    call = await rig.authorize(command)

    assert (State.SUCCEEDED, Money(25, "EUR")) == (
        call.state, call.outcome.settlement.expected_fee,
    )  # fmt: skip
    assert [-1250] == await moved(sandbox, command)


@pytest.mark.parametrize(
    ("token", "state"),
    [
        ("tok_decline_invalid_account", State.DECLINED_HARD),
        ("tok_pending", State.PENDING),
        ("tok_500_after", State.IN_DOUBT),
        ("tok_nobody_knows", State.DECLINED_HARD),
        ("tok_wrong_amount", State.CONFLICTED),
    ],
)
async def test_what_a_payout_is_told_is_what_we_tell(rig, token, state):
    assert state is (await rig.authorize(a_payout(token=token))).state
