"""localstripe as a process of its own, for tests: Stripe's API without Stripe's idempotency."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from cashier_gateway.domain.account import ProcessorAccount
from tests.support.gateway_rig import START_WAIT_S

ROOT = Path(__file__).resolve().parents[2]
LOCALSTRIPE = ROOT / ".tools" / "localstripe" / "bin" / "python"
LOCALSTRIPE_KEY = "sk_test_localstripe"
# Its store is one file for all instances of a machine, rewritten at each request: kept in memory.
LOCALSTRIPE_START = """
from localstripe import resources, server
resources.Store.dump_to_disk = lambda self: None
server.start()
"""


def stripe_account(port: int, **changes: Any) -> ProcessorAccount:
    """An account at localstripe, which ignores idempotency keys."""
    facts = {
        "account_id": "localstripe",
        "processor": "stripe",
        "base_url": f"http://127.0.0.1:{port}",
        "credential": f"test:{LOCALSTRIPE_KEY}",
        "honours_idempotency_keys": False,
        "refused_fields": ["allowed_payment_method_types", "return_url"],
        "assets": ["EUR", "USD", "JPY"],
        "fees": {"version": "v1", "percent_bps": 0},
        "settlement_lag_days": 2,
    }
    return ProcessorAccount.model_validate(facts | changes)


class LocalStripe:
    """localstripe as a process of its own, asked over its own API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}"

    async def ask(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        authorization = {"Authorization": f"Bearer {LOCALSTRIPE_KEY}"}
        async with (
            aiohttp.ClientSession(headers=authorization) as session,
            session.request(method, self.base + path, data=form) as response,
        ):
            return await response.json()

    async def a_card(self, number: str = "4242424242424242") -> str:
        """A payment method's id."""
        form = {
            "type": "card",
            "card[number]": number,
            "card[exp_month]": "12",
            "card[exp_year]": "2030",
            "card[cvc]": "123",
        }
        method = await self.ask("POST", "/v1/payment_methods", form)
        return str(method["id"])

    async def intents(self, operation: str) -> list[Mapping[str, Any]]:
        """Every intent that carries the operation."""
        listed = await self.ask("GET", "/v1/payment_intents?limit=100")
        return [
            intent
            for intent in listed["data"]
            if intent["metadata"].get("cashier_operation") == operation
        ]

    async def charged(self, operation: str) -> list[str]:
        """The successful charges of every intent that carries the operation."""
        return [
            charge["id"]
            for intent in await self.intents(operation)
            for charge in intent["charges"]["data"]
            if charge["status"] == "succeeded"
        ]


@contextlib.contextmanager
def running_localstripe(log: Path) -> Iterator[LocalStripe]:
    """A fresh localstripe; gone at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("w") as out:
        process = subprocess.Popen(
            [LOCALSTRIPE, "-c", LOCALSTRIPE_START, "--port", str(port), "--from-scratch"],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(port, process, log)
        yield LocalStripe(port)
    finally:
        process.kill()
        process.wait(10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_WAIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no localstripe: {log.read_text()}")
