"""Operations of every kind with what they act on already done, and what the sandbox moved."""

from typing import Any

from cashier_gateway.domain.call import Command, Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.ports import Terminal
from tests.support.gateway_rig import (
    Rig,
    a_command,
    a_follow_up,
    a_payout,
    entries_of,
    sandbox_account,
)
from tests.support.sandbox_process import Sandbox

MOVES = {
    Kind.AUTHORIZE: 1250,
    Kind.CAPTURE: 1250,
    Kind.VOID: 0,
    Kind.REFUND: -1250,
    Kind.PAYOUT: -1250,
}


async def moved(sandbox: Sandbox, *commands: Command) -> list[int]:
    """What the sandbox's ledger says that each operation moved, signed."""
    return [
        sum(entry["moved"] for entry in await entries_of(sandbox, command.operation))
        for command in commands
    ]


async def an_authorization(rig: Rig, **changes: Any) -> Command:
    """An authorization that only holds."""
    command = a_command(capture=False, **changes)
    assert State.SUCCEEDED is (await rig.authorize(command)).state
    return command


async def a_charge(rig: Rig, **changes: Any) -> Command:
    """An authorization that captured at once."""
    command = a_command(**changes)
    assert State.SUCCEEDED is (await rig.authorize(command)).state
    return command


async def prepared(rig: Rig, kind: Kind) -> Command:
    """A command of the kind that can succeed."""
    if kind is Kind.AUTHORIZE:
        return a_command()
    if kind is Kind.PAYOUT:
        return a_payout()
    if kind is Kind.REFUND:
        return a_follow_up(Kind.REFUND, await a_charge(rig))
    return a_follow_up(kind, await an_authorization(rig))


def use(rig: Rig, sandbox: Sandbox, **changes: Any) -> None:
    """Give the account other terms."""
    account = sandbox_account(sandbox, **changes)
    rig.terminals["one"] = Terminal(account, rig.terminals["one"].processor)
