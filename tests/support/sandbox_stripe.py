"""The sandbox as Stripe, asked with Stripe's own library."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stripe

from tests.support.sandbox_process import Sandbox

SECRET = "sk_test_of_account_stripe"
ACCOUNT = "stripe"
ACCOUNTS = f"""
accounts:
  - {{name: {ACCOUNT}, port: 0, imitates: stripe, api_key: "test:{SECRET}",
     currencies: [EUR, USD, JPY, KWD, ISK],
     fees: {{percent_bps: 290, fixed_minor: {{EUR: 25}}, payout_fixed_minor: {{EUR: 10}},
            chargeback_fixed_minor: {{EUR: 1500}}}}}}
"""


@contextlib.contextmanager
def running_stripe(folder: Path) -> Iterator[Sandbox]:
    """A started sandbox whose one account speaks Stripe's API."""
    sandbox = Sandbox(folder)
    (folder / "accounts.yaml").write_text(ACCOUNTS)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()


def base_url(sandbox: Sandbox) -> str:
    return f"http://127.0.0.1:{sandbox.ports[ACCOUNT]}"


@contextlib.asynccontextmanager
async def stripe_client(sandbox: Sandbox) -> AsyncIterator[stripe.StripeClient]:
    """Stripe's library as the gateway uses it: no retries of its own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as session:
        yield stripe.StripeClient(
            SECRET,
            base_addresses={"api": base_url(sandbox)},
            max_network_retries=0,
            http_client=stripe.AIOHTTPClient(session=session, timeout=20),
        )


def keyed(key: str) -> stripe.RequestOptions:
    return {"idempotency_key": key}


def a_payment(operation: str, **changes: Any) -> Any:
    """What the gateway asks of Stripe for one authorization with capture."""
    return {
        "amount": 1250,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": True,
        "metadata": {"cashier_operation": operation},
    } | changes


async def moved(sandbox: Sandbox, operation: str) -> list[int]:
    """What the ledger says was really moved for an operation."""
    async with sandbox.control() as control:
        page = await control.get(f"/control/ledger?reference={operation}&moved=true")
    return [entry["moved"] for entry in page["entries"]]


async def refused(asking: Awaitable[Any]) -> Any:
    """The error object with which the library refuses."""
    with pytest.raises(stripe.StripeError) as caught:
        await asking
    return caught.value.error


async def control(sandbox: Sandbox, path: str, body: Any = None) -> Any:
    """What a POST to the control API answers."""
    async with sandbox.control() as client:
        return await client.post(path, body)
