"""The gateway against the sandbox: what happens once, and what its answers tell."""

import asyncio
import json
import socket
from dataclasses import replace

import asyncpg
import pytest

from cashier_common.clock import SystemClock
from cashier_common.db.verify import verify
from cashier_common.errors import OperationReused
from cashier_common.money import Money
from cashier_gateway.domain.errors import AccountNotEligible
from cashier_gateway.domain.lifecycle import State
from tests.support.gateway_rig import Rig, a_command, charges, sandbox_account
from tests.support.gateway_sandbox import rig, sandbox, service, stall

__all__ = ["rig", "sandbox", "service"]


async def test_fifty_at_once_charge_once_and_hear_the_same(rig, sandbox):
    command = a_command()

    calls = await asyncio.gather(*(rig.authorize(command) for _ in range(50)))

    assert 1 == len(await charges(sandbox, command.operation))
    assert {(State.SUCCEEDED, calls[0].reference)} == {(c.state, c.reference) for c in calls}


async def test_two_processes_asked_at_once_charge_once(rig, sandbox):
    twin, command = await rig.twin(), a_command()

    calls = await asyncio.gather(*(r.authorize(command) for r in (rig, twin) * 10))

    assert 1 == len(await charges(sandbox, command.operation))
    assert {State.SUCCEEDED} == {call.state for call in calls}
    await twin.close()


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Money(1251, "EUR")},
        {"amount": Money(1250, "USD")},
        {"merchant": "other-games"},
    ],
)
async def test_another_request_under_the_same_operation_is_another_matter(rig, change):
    command = a_command()
    await rig.authorize(command)

    if "merchant" in change:  # operations are scoped by merchant: not the same operation at all
        assert State.SUCCEEDED is (await rig.authorize(replace(command, **change))).state
        return
    with pytest.raises(OperationReused):
        await rig.authorize(replace(command, **change))


async def test_a_duplicate_while_the_first_is_under_way_must_ask_the_same(rig):
    stalled, command = stall(rig), a_command()
    first = asyncio.create_task(rig.authorize(command))
    await stalled.arrived.wait()

    with pytest.raises(OperationReused):
        await rig.authorize(replace(command, amount=Money(1, "EUR")))

    stalled.go_on.set()
    assert State.SUCCEEDED is (await first).state


async def test_a_refused_connection_is_not_sent(service):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        rig = await Rig.open(service, sandbox_account(Nowhere(port)))
        call = await rig.authorize(a_command())
    await rig.close()

    assert State.NOT_SENT is call.state


class Nowhere:
    """A port that nobody listens on."""

    def __init__(self, port: int) -> None:
        self.ports = {"one": port}


@pytest.mark.parametrize(
    ("token", "state", "category"),
    [
        ("tok_decline_soft", State.DECLINED_SOFT, "SOFT"),
        ("tok_decline_insufficient_funds", State.DECLINED_HARD, "HARD"),
        ("tok_stolen", State.DECLINED_HARD, "NEVER"),
        ("tok_rate_limited", State.DECLINED_SOFT, "SOFT"),
        ("tok_unavailable", State.DECLINED_SOFT, "SOFT"),
        ("tok_nobody_knows_this_one", State.DECLINED_HARD, "HARD"),
        ("tok_500_before", State.IN_DOUBT, None),
        ("tok_500_after", State.IN_DOUBT, None),
        ("tok_pending", State.PENDING, None),
        ("tok_action_required", State.ACTION_REQUIRED, None),
        ("tok_wrong_amount", State.CONFLICTED, None),
        ("tok_wrong_currency", State.CONFLICTED, None),
        ("tok_wrong_reference", State.CONFLICTED, None),
    ],
)
async def test_what_the_processor_says_is_what_we_tell(rig, token, state, category):
    call = await rig.authorize(a_command(token=token))

    assert state is call.state
    assert category == (call.outcome.decline.category if call.outcome.decline else None)


@pytest.mark.parametrize(
    "amount", [Money(1999, "EUR"), Money(1999, "JPY"), Money(1999, "KWD")], ids=str
)
async def test_minor_units_arrive_as_they_left(rig, sandbox, amount):
    command = a_command(amount=amount)

    call = await rig.authorize(command)

    [charge] = await charges(sandbox, command.operation)
    assert (amount.minor, amount.asset) == (charge["moved"], charge["currency"])
    assert amount == call.outcome.amount
    assert amount.asset == call.outcome.settlement.expected_fee.asset


async def test_the_answer_carries_what_should_settle(rig):
    call = await rig.authorize(a_command())

    settlement = call.outcome.settlement
    assert ("v1", Money(36 + 25, "EUR")) == (
        settlement.fee_schedule_version, settlement.expected_fee,
    )  # fmt: skip
    assert 2 == (settlement.due_at - call.outcome.observed_at).days


async def test_an_expired_operation_is_given_up_unsent(rig, sandbox):
    call = await rig.authorize(a_command(expire_at=SystemClock().now()))

    assert State.NOT_SENT is call.state
    assert [] == await charges(sandbox, call.operation)


async def test_an_account_that_does_not_fit_writes_nothing(rig):
    command = a_command(amount=Money(100, "GBP"))

    with pytest.raises(AccountNotEligible):
        await rig.authorize(command)

    assert await rig.found(command) is None


async def test_the_record_verifies_and_the_app_role_can_delete_nothing(rig):
    await rig.authorize(a_command())
    await rig.look_up(a_command())
    while await rig.sealer.step():
        pass

    verification = await verify(rig.database)

    assert [] == list(verification.findings)
    for table in ("calls", "steps", "seals"):
        connection = await asyncpg.connect(rig.service.app_url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608
        await connection.close()


async def test_no_token_is_in_the_audit_record(rig):
    await rig.authorize(a_command(token="tok_ok.very-secret"))

    rows = await rig.as_owner("SELECT payload FROM steps")

    assert not any("very-secret" in row["payload"] for row in rows)
    assert all(json.loads(row["payload"])["account"] for row in rows)
