"""The gateway before the sandbox's Stripe and Adyen, whose webhooks come back over real HTTP."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cashier_gateway.app import ADAPTERS
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Command
from cashier_gateway.flows.ports import Terminal
from cashier_gateway.flows.stream_outcomes import LateOutcome
from tests.support.gateway_rig import ABLE, entries_of
from tests.support.gateway_webhooks import Hooks
from tests.support.notices import ADYEN_KEY, STRIPE_SECRET
from tests.support.sandbox_process import Sandbox

ADYEN, STRIPE = "adyen-one", "stripe-one"
SECRETS = {ADYEN: ADYEN_KEY, STRIPE: STRIPE_SECRET}
ACCOUNTS = "accounts:\n" + "".join(
    f"""
  - {{name: {name}, port: 0, imitates: {name.partition("-")[0]}, api_key: "test:key-of-{name}",
     currencies: [EUR, USD, JPY, KWD, ISK],
     fees: {{percent_bps: 180, chargeback_fixed_minor: {{EUR: 1500}}}}}}"""
    for name in SECRETS
)
NEWS_WAIT_S = 20.0


def told_account(sandbox: Sandbox, name: str) -> ProcessorAccount:
    """The sandbox's account as the accounts file would say it."""
    facts = {
        "account_id": name,
        "processor": name.partition("-")[0],
        "base_url": f"http://127.0.0.1:{sandbox.ports[name]}",
        "credential": f"test:key-of-{name}",
        "merchant_account": name,
        "webhook_secrets": [f"test:{SECRETS[name]}"],
        "honours_idempotency_keys": True,
        "assets": ["EUR", "USD", "JPY", "KWD", "ISK"],
        "fees": {"version": "v1", "percent_bps": 180},
        "settlement_lag_days": 2,
        "capabilities": ABLE,
    }
    return ProcessorAccount.model_validate(facts)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with an account for each API that tells by webhook."""
    process = Sandbox(folder := tmp_path_factory.mktemp("sandbox"))
    (Path(folder) / "accounts.yaml").write_text(ACCOUNTS)
    process.start()
    try:
        yield process
    finally:
        process.kill()


async def connect(hooks: Hooks, sandbox: Sandbox, name: str, **mischief: Any) -> None:
    """Let the gateway use the account, and the sandbox tell the gateway, misbehaving or not."""
    account = told_account(sandbox, name)
    processor = ADAPTERS[account.processor](
        account, base_url=account.base_url, credential=f"key-of-{name}",
        webhook_secrets=(SECRETS[name],),
    )  # fmt: skip
    hooks.rig.terminals[name] = Terminal(account, processor)
    url = f"http://127.0.0.1:{hooks.runner.addresses[0][1]}/webhooks/{name}"
    async with sandbox.control() as control:
        await control.post("/control/reset", {"ledger": True})
        body = {"url": url, "secret": SECRETS[name]}
        await control.post(f"/control/accounts/{name}/endpoints", body)
        await control.ask("PUT", f"/control/accounts/{name}/notices", mischief)


async def until(hooks: Hooks, command: Command, holds: Callable[[Call], bool]) -> Call:
    """The call once it is as the test wants it, its webhooks being taken as they come."""
    deadline = time.monotonic() + NEWS_WAIT_S
    while True:
        await hooks.take()
        call = await hooks.rig.found(command)
        assert call is not None
        if holds(call) or time.monotonic() > deadline:
            return call
        await asyncio.sleep(0.1)


async def told_late(
    hooks: Hooks, call: Call, holds: Callable[[list[LateOutcome]], bool]
) -> list[LateOutcome]:
    """What is told beside the call's outcome, once it is as the test wants it."""
    deadline = time.monotonic() + NEWS_WAIT_S
    while True:
        await hooks.take()
        told = [late for late in await hooks.told(call) if late.told]
        if (told and holds(told)) or time.monotonic() > deadline:
            return told
        await asyncio.sleep(0.1)


async def moved(sandbox: Sandbox, *commands: Command) -> list[int]:
    """What the sandbox's ledger says that each operation moved, signed."""
    return [sum(e["moved"] for e in await entries_of(sandbox, c.operation)) for c in commands]


async def happens(sandbox: Sandbox, command: Command, what: str, body: dict[str, object]) -> None:
    """Something at the processor, by its back office or the customer's bank."""
    [charge] = [e for e in await entries_of(sandbox, command.operation) if e["kind"] == "charge"]
    async with sandbox.control() as control:
        await control.post(f"/control/charges/{charge['id']}/{what}", body)
