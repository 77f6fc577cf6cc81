"""The gateway before the sandbox's imitation of Adyen, whose webhooks come back over real HTTP."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cashier_gateway.clients.adyen.adapter import AdyenProcessor
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Command
from cashier_gateway.flows.ports import Terminal
from tests.support.gateway_rig import ABLE
from tests.support.gateway_webhooks import Hooks
from tests.support.notices import ADYEN_KEY
from tests.support.sandbox_process import Sandbox

NAME = "adyen-one"
ACCOUNTS = f"""
accounts:
  - {{name: {NAME}, port: 0, imitates: adyen, api_key: "test:key-of-adyen",
     currencies: [EUR, USD, JPY, KWD, ISK],
     fees: {{percent_bps: 180, chargeback_fixed_minor: {{EUR: 1500}}}}}}
"""
NEWS_WAIT_S = 20.0


def adyen_account(sandbox: Sandbox, **changes: Any) -> ProcessorAccount:
    """The sandbox's account as the accounts file would say it."""
    facts = {
        "account_id": NAME,
        "processor": "adyen",
        "base_url": f"http://127.0.0.1:{sandbox.ports[NAME]}",
        "credential": "test:key-of-adyen",
        "merchant_account": NAME,
        "webhook_secrets": [f"test:{ADYEN_KEY}"],
        "honours_idempotency_keys": True,
        "assets": ["EUR", "USD", "JPY", "KWD", "ISK"],
        "fees": {"version": "v1", "percent_bps": 180},
        "settlement_lag_days": 2,
        "capabilities": ABLE,
    }
    return ProcessorAccount.model_validate(facts | changes)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with one account that speaks Adyen's API."""
    process = Sandbox(folder := tmp_path_factory.mktemp("sandbox"))
    (Path(folder) / "accounts.yaml").write_text(ACCOUNTS)
    process.start()
    try:
        yield process
    finally:
        process.kill()


async def connect(hooks: Hooks, sandbox: Sandbox, **mischief: Any) -> None:
    """Let the gateway use the account, and the sandbox tell the gateway, misbehaving or not."""
    account = adyen_account(sandbox)
    processor = AdyenProcessor(
        account, base_url=account.base_url, credential="key-of-adyen", webhook_secrets=(ADYEN_KEY,)
    )
    hooks.rig.terminals[NAME] = Terminal(account, processor)
    url = f"http://127.0.0.1:{hooks.runner.addresses[0][1]}/webhooks/{NAME}"
    async with sandbox.control() as control:
        await control.post("/control/reset", {"ledger": True})
        body = {"url": url, "secret": ADYEN_KEY}
        await control.post(f"/control/accounts/{NAME}/endpoints", body)
        await control.ask("PUT", f"/control/accounts/{NAME}/notices", mischief)


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
