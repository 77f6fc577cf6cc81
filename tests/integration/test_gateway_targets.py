"""The gateway against the sandbox: what an operation may act on, and what an account may do."""

from dataclasses import replace

import pytest

from cashier_common.errors import FieldInvalid
from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.errors import AccountNotEligible
from cashier_gateway.domain.lifecycle import State
from tests.support.gateway_operations import a_charge, an_authorization, prepared, use
from tests.support.gateway_rig import ABLE, a_command, a_follow_up, a_payout, an_operation
from tests.support.gateway_sandbox import rig, sandbox, service

__all__ = ["rig", "sandbox", "service"]
CAPTURE, VOID, REFUND = Kind.CAPTURE, Kind.VOID, Kind.REFUND


def stray(command):
    return replace(command, request=replace(command.request, target=an_operation()))


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(REFUND, "refund"), (Kind.PAYOUT, "payout"), (CAPTURE, "partial_capture")],
)
async def test_what_an_account_cannot_do_is_refused_unwritten(rig, sandbox, kind, missing):
    command = replace(await prepared(rig, kind), amount=Money(500, "EUR"))
    use(rig, sandbox, capabilities={**ABLE, missing: False})

    with pytest.raises(AccountNotEligible):
        await rig.authorize(command)

    assert await rig.found(command) is None


async def test_who_captures_once_has_to_say_that_it_is_final(rig, sandbox):
    held = await an_authorization(rig)
    use(rig, sandbox, capabilities={**ABLE, "multiple_capture": False})
    part = a_follow_up(CAPTURE, held, amount=Money(500, "EUR"))

    with pytest.raises(AccountNotEligible, match="final"):
        await rig.authorize(part)
    call = await rig.authorize(replace(part, request=replace(part.request, final=True)))

    assert State.SUCCEEDED is call.state


async def test_a_draining_account_finishes_what_it_has_and_begins_nothing(rig, sandbox):
    charge, held = await a_charge(rig), await an_authorization(rig)
    use(rig, sandbox, state="DRAINING")

    for begun in (a_command(), a_payout()):
        with pytest.raises(AccountNotEligible):
            await rig.authorize(begun)
    finished = [
        await rig.authorize(a_follow_up(REFUND, charge)),
        await rig.authorize(a_follow_up(CAPTURE, held)),
    ]

    assert [State.SUCCEEDED] * 2 == [call.state for call in finished]


async def test_a_disabled_account_takes_nothing_new_and_still_answers_what_it_knows(rig, sandbox):
    charge = await a_charge(rig)
    use(rig, sandbox, state="DISABLED")

    with pytest.raises(AccountNotEligible):
        await rig.authorize(a_follow_up(REFUND, charge))

    assert State.SUCCEEDED is (await rig.authorize(charge)).state


@pytest.mark.parametrize(
    ("kind", "field", "spoil"),
    [
        pytest.param(CAPTURE, "authorization", stray, id="unknown"),
        pytest.param(REFUND, "capture", stray, id="unknown capture"),
        pytest.param(
            CAPTURE, "amount.asset_code", lambda c: replace(c, amount=Money(5, "USD")), id="asset"
        ),
        pytest.param(
            CAPTURE, "amount.minor", lambda c: replace(c, amount=Money(1251, "EUR")), id="too much"
        ),
        pytest.param(
            VOID,
            "amount.minor",
            lambda c: replace(c, amount=Money(1251, "EUR")),
            id="void too much",
        ),
        pytest.param(
            CAPTURE, "authorization", lambda c: replace(c, merchant="other-games"), id="merchant"
        ),
    ],
)
async def test_what_cannot_be_acted_on_is_refused_unwritten(rig, kind, field, spoil):
    command = spoil(await prepared(rig, kind))

    with pytest.raises(FieldInvalid) as refused:
        await rig.authorize(command)

    assert field == refused.value.field
    assert await rig.found(command) is None


async def test_a_capture_acts_on_an_authorization_and_a_refund_on_a_capture(rig):
    held = await an_authorization(rig)
    capture = a_follow_up(CAPTURE, held, amount=Money(500, "EUR"))
    await rig.authorize(capture)

    for wrong in (a_follow_up(CAPTURE, capture, 3), a_follow_up(REFUND, held, 3)):
        with pytest.raises(FieldInvalid):
            await rig.authorize(wrong)


async def test_what_the_processor_never_named_cannot_be_acted_on(rig, sandbox):
    command = a_command(token="tok_500_before", capture=False)
    await rig.authorize(command)

    with pytest.raises(FieldInvalid, match="look it up first"):
        await rig.authorize(a_follow_up(CAPTURE, command))
