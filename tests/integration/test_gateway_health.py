"""The gateway against the sandbox: the breaker stops what is new, and nothing that is in flight."""

import asyncio

from cashier_common.clock import SystemClock
from cashier_common.health.breaker import Breaker, State
from cashier_common.health.monitor import Monitor
from cashier_common.health.tally import Result
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State as CallState
from cashier_gateway.flows.ports import Terminal
from cashier_gateway.flows.watch import AccountWatch
from tests.support.gateway_rig import a_command, a_follow_up, entries_of
from tests.support.gateway_sandbox import rig, sandbox, service

__all__ = ["rig", "sandbox", "service"]


def watched(rig, **changes) -> Monitor:
    """Let a monitor watch over the account, as the composition root does."""
    monitor = Monitor("gateway", SystemClock(), None)
    at = rig.terminals["one"]
    account = at.account.model_copy(update=changes)
    rig.terminals["one"] = Terminal(account, at.processor, AccountWatch(account, monitor))
    return monitor


async def test_an_open_breaker_keeps_new_things_here_and_lets_a_refund_pass(rig, sandbox):
    monitor = watched(rig)
    paid = a_command()
    assert CallState.SUCCEEDED is (await rig.authorize(paid)).state
    monitor.watch("one").adopt(Breaker(State.OPEN, 1, monitor.now_ms(), 1 << 60, 1))

    stopped = a_command()
    call = await rig.authorize(stopped)
    refund = await rig.authorize(a_follow_up(Kind.REFUND, paid))

    assert CallState.NOT_SENT is call.state
    assert "(BREAKER_OPEN)" in call.outcome.detail
    assert [] == await entries_of(sandbox, stopped.operation)
    assert CallState.SUCCEEDED is refund.state


async def test_beyond_the_limit_of_an_account_a_payment_is_not_sent(rig, sandbox):
    watched(rig, concurrency_max=2)
    commands = [a_command() for _ in range(6)]

    calls = await asyncio.gather(*(rig.authorize(command) for command in commands))

    states = [call.state for call in calls]
    assert {CallState.SUCCEEDED, CallState.NOT_SENT} == set(states)
    assert 2 <= states.count(CallState.SUCCEEDED)
    for command, call in zip(commands, calls, strict=True):
        sent = await entries_of(sandbox, command.operation)
        assert bool(sent) is (call.state is CallState.SUCCEEDED)


async def test_what_the_processor_answers_is_counted_by_segment(rig):
    monitor = watched(rig)

    for token in ("tok_ok", "tok_ok", "tok_insufficient_funds"):
        await rig.authorize(a_command(token=token))
    await monitor.turn()

    counts = {told.reading.segment: told.counts for told in monitor.details()}["CARD/EUR/"]
    assert 2 == counts[Result.SUCCESS]
    assert 1 == counts[Result.HARD_NO]
    assert 0 == len(monitor.watch("one").under_way)
