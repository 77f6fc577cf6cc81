"""The sandbox as Adyen, asked with Adyen's own library, and an endpoint that takes its webhooks."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import Adyen
from Adyen.exceptions import AdyenError
from aiohttp import web

from tests.support.sandbox_process import OK, Sandbox

ACCOUNT = "adyen"
API_KEY = "key-of-account-adyen"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
WEBHOOK_WAIT_S = 10.0
ACCOUNTS = f"""
accounts:
  - {{name: {ACCOUNT}, port: 0, imitates: adyen, api_key: "test:{API_KEY}",
     currencies: [EUR, JPY, KWD, CLP, ISK, IDR], settlement_format: adyen_settlement_details,
     fees: {{percent_bps: 290, fixed_minor: {{EUR: 25}}, payout_fixed_minor: {{EUR: 10}},
            chargeback_fixed_minor: {{EUR: 1500}}}}}}
"""


@contextlib.contextmanager
def running_adyen(folder: Path) -> Iterator[Sandbox]:
    """A started sandbox whose one account speaks Adyen's API."""
    sandbox = Sandbox(folder)
    (folder / "accounts.yaml").write_text(ACCOUNTS)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()


def base_url(sandbox: Sandbox) -> str:
    return f"http://127.0.0.1:{sandbox.ports[ACCOUNT]}"


class Library:
    """Adyen's library, pointed at the sandbox; answers (status, body) for refusals too."""

    def __init__(self, base: str) -> None:
        self.sent: list[tuple[str, Any]] = []
        self._adyen = Adyen.Adyen(platform="test", xapikey=API_KEY, http_timeout=20)
        client = self._adyen.client
        ask = client.call_adyen_api

        def url(_platform: str, endpoint: str) -> str:
            path = endpoint.partition("adyen.com")[2]
            return base + path.replace("/v72/", "/v71/")

        def call(request: Any, service: str, method: str, endpoint: str, *rest: Any) -> Any:
            self.sent.append((url("", endpoint).removeprefix(base), request))
            return ask(request, service, method, endpoint, *rest)

        client._determine_api_url = url
        client.call_adyen_api = call

    async def ask(self, call: Callable[..., Any], *given: Any) -> tuple[int, Any]:
        """Run one call of the library on a thread: it knows no event loop."""
        try:
            result = await asyncio.to_thread(call, *given)
        except AdyenError as error:
            return error.status_code, json.loads(error.raw_response)
        return result.status_code, result.message

    async def pay(self, key: str, **changes: Any) -> tuple[int, Any]:
        api = self._adyen.checkout.payments_api
        return await self.ask(api.payments, a_payment(key, **changes), key)

    async def details(self, details: dict[str, str]) -> tuple[int, Any]:
        api = self._adyen.checkout.payments_api
        return await self.ask(api.payments_details, {"details": details})

    async def modify(self, what: str, psp: str, key: str, **fields: Any) -> tuple[int, Any]:
        """`captures`, `cancels`, `refunds` or `reversals` of a payment."""
        api = self._adyen.checkout.modifications_api
        call = {
            "captures": api.capture_authorised_payment,
            "cancels": api.cancel_authorised_payment_by_psp_reference,
            "refunds": api.refund_captured_payment,
            "reversals": api.refund_or_cancel_payment,
        }[what]
        body = {"merchantAccount": ACCOUNT, "reference": f"ref-{key}"} | fields
        return await self.ask(call, body, psp, key)

    async def cancel_by_reference(self, reference: str, key: str) -> tuple[int, Any]:
        api = self._adyen.checkout.modifications_api
        body = {"merchantAccount": ACCOUNT, "paymentReference": reference}
        return await self.ask(api.cancel_authorised_payment, body, key)

    async def pay_out(self, key: str, **changes: Any) -> tuple[int, Any]:
        body = {
            "merchantAccount": ACCOUNT,
            "amount": euros(500),
            "reference": f"ref-{key}",
            "selectedRecurringDetailReference": "tok_ok",
        }
        api = self._adyen.payout.instant_payouts_api
        return await self.ask(api.payout, body | changes, key)


def euros(value: int) -> dict[str, Any]:
    return {"value": value, "currency": "EUR"}


def a_payment(key: str, token: str = OK, **changes: Any) -> dict[str, Any]:
    return {
        "merchantAccount": ACCOUNT,
        "amount": euros(1250),
        "reference": f"ref-{key}",
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": token},
        "returnUrl": "https://shop.example/back?order=1",
        "captureDelayHours": 0,
    } | changes


def held(key: str, **changes: Any) -> dict[str, Any]:
    """What makes a payment wait for its capture."""
    return {"additionalData": {"manualCapture": "true"}} | changes


class Inbox:
    """An endpoint that keeps what it got; `refuses` answers that many messages with 500 first."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refuses = 0
        self.refused = 0
        self._arrived = asyncio.Event()

    def items(self, event: str = "", psp: str = "") -> list[dict[str, Any]]:
        """The notification items that arrived, oldest first."""
        found = [message["notificationItems"][0] for message in self.messages]
        items = [wrapper["NotificationRequestItem"] for wrapper in found]
        return [
            item
            for item in items
            if (not event or item["eventCode"] == event)
            and (not psp or item["pspReference"] == psp)
        ]

    async def wait(self, event: str, psp: str = "", count: int = 1) -> dict[str, Any]:
        """The last of `count` items of an event; TimeoutError when they do not come."""
        async with asyncio.timeout(WEBHOOK_WAIT_S):
            while len(found := self.items(event, psp)) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return found[-1]

    async def take(self, request: web.Request) -> web.Response:
        if self.refuses > 0:
            self.refuses -= 1
            self.refused += 1
            return web.Response(status=500)
        self.messages.append(await request.json())
        self._arrived.set()
        return web.Response(text="[accepted]")


@contextlib.asynccontextmanager
async def inbox(sandbox: Sandbox) -> AsyncIterator[Inbox]:
    """An endpoint that the account's webhooks go to, registered and taken back."""
    box = Inbox()
    app = web.Application()
    app.router.add_post("/webhooks", box.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with sandbox.control() as control:
        at = f"/control/accounts/{ACCOUNT}/endpoints"
        body = {"url": f"http://127.0.0.1:{port}/webhooks", "secret": HMAC_KEY}
        endpoint = await control.post(at, body)
        try:
            yield box
        finally:
            await control.ask("DELETE", f"{at}/{endpoint['id']}")
            await runner.cleanup()


async def ledger(sandbox: Sandbox, query: str = "") -> list[dict[str, Any]]:
    """What the sandbox's own ledger says happened."""
    async with sandbox.control() as control:
        page = await control.get(f"/control/ledger?{query}&limit=10000")
    entries: list[dict[str, Any]] = page["entries"]
    return entries


async def charge_id(sandbox: Sandbox, reference: str) -> str:
    return str((await ledger(sandbox, f"kind=charge&reference={reference}"))[0]["id"])
