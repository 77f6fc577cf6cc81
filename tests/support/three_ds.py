"""The sandbox's 3DS server as a merchant's server uses it, and RReqs caught as they come."""

import asyncio
import base64
import hmac
import itertools
import json
from hashlib import sha256
from typing import Any, Self

import aiohttp
from aiohttp import web

from tests.support.sandbox_process import Client, Sandbox

ACCOUNT = """accounts:
  - {name: tds, port: 0, imitates: 3ds, api_key: "test:key-of-account-tds",
     currencies: [EUR, USD, JPY]}
  - {name: one, port: 0, api_key: "test:key-of-account-one", currencies: [EUR]}
  - {name: stripe, port: 0, imitates: stripe, api_key: "test:key-of-account-stripe",
     currencies: [EUR]}
"""
SECRET = "secret-of-the-results"
NOTIFY = "http://127.0.0.1:9/notify"
WAIT_S = 10.0
BROWSER = {
    "browserAcceptHeader": "text/html",
    "browserUserAgent": "Mozilla/5.0",
    "browserLanguage": "en-GB",
    "browserJavaEnabled": False,
    "browserJavascriptEnabled": True,
    "browserColorDepth": "24",
    "browserScreenHeight": "900",
    "browserScreenWidth": "1440",
    "browserTZ": "-60",
    "browserIP": "192.0.2.7",
}
DECOUPLED = {"threeDSRequestorDecReqInd": "Y", "threeDSRequestorDecMaxTime": "00060"}
_keys = itertools.count(1)


def new_key() -> str:
    """A key that no other request of this process has."""
    return f"key-{next(_keys)}"


def areq(name: str, card: str, **elements: Any) -> dict[str, Any]:
    """An authentication request with every element that is required."""
    return {
        "threeDSServerTransID": name,
        "acctNumber": card,
        "deviceChannel": "02",
        "messageCategory": "01",
        "messageVersion": "2.2.0",
        "threeDSCompInd": "U",
        "notificationURL": NOTIFY,
        "merchantName": "Corner <shop>",
        "purchaseAmount": "1250",
        "purchaseCurrency": "978",
        "purchaseExponent": "2",
        **BROWSER,
        **elements,
    }


def three_ds_sandbox(folder: Any) -> Sandbox:
    """A sandbox, not yet started, whose account `tds` is a 3DS server."""
    sandbox = Sandbox(folder)
    (sandbox.folder / "accounts.yaml").write_text(ACCOUNT)
    return sandbox


def read(message: str) -> dict[str, Any]:
    """An encoded message of a form."""
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(message + "=" * (-len(message) % 4)))
    return told


def written(message: Any) -> str:
    """A message as a form carries it."""
    return base64.urlsafe_b64encode(json.dumps(message).encode()).decode().rstrip("=")


class Merchant:
    """A merchant's server before the 3DS server; a browser's part it plays with plain forms."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.client = sandbox, sandbox.account("tds")

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        self.browser = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.browser.close()
        await self.client.__aexit__(*error)

    async def begin(self, card: str, **fields: Any) -> dict[str, Any]:
        body = {"acctNumber": card, **fields}
        told: dict[str, Any] = await self.client.post("/3ds/versioning", body, key=new_key())
        return told

    async def authenticate(self, card: str, **elements: Any) -> dict[str, Any]:
        """The ARes for a card, or the Erro in its place."""
        name = (await self.begin(card))["threeDSServerTransID"]
        body = areq(name, card, **elements)
        told: dict[str, Any] = await self.client.post("/3ds/authenticate", body, key=new_key())
        return told

    async def result(self, ares: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = await self.client.get(
            f"/3ds/authentications/{ares['threeDSServerTransID']}"
        )
        return told

    async def open(self, ares: dict[str, Any], session: str = "") -> str:
        """The address of the challenge page, as a browser finds it."""
        form = {"creq": ares["encodedCReq"], "threeDSSessionData": session}
        async with self.browser.post(ares["acsURL"], data=form) as page:
            assert page.status == 200, await page.text()
            return str(page.url)

    async def choose(self, address: str, outcome: str) -> str:
        """The page that comes after a button was pressed."""
        async with self.browser.post(address, data={"outcome": outcome}) as page:
            return await page.text()

    async def challenged(self, card: str, outcome: str, **elements: Any) -> dict[str, Any]:
        """The ARes of a challenge that a cardholder has answered."""
        ares = await self.authenticate(card, **elements)
        await self.choose(await self.open(ares), outcome)
        return ares

    async def ended(self, ares: dict[str, Any]) -> dict[str, Any]:
        """The result, once there is one."""
        async with asyncio.timeout(WAIT_S):
            while True:
                if (told := await self.result(ares))["state"] == "completed":
                    return told
                await asyncio.sleep(0.01)


class Mailbox:
    """Where the 3DS server's webhooks go; keeps those whose signature is right."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def register(self, control: Client) -> None:
        url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        body = {"url": url, "secret": SECRET}
        await control.post("/control/accounts/tds/endpoints", body)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        at, _, given = request.headers["Sandbox-Signature"].partition(",v1=")
        signed = f"{at.removeprefix('t=')}.".encode() + body
        if not hmac.compare_digest(given, hmac.new(SECRET.encode(), signed, sha256).hexdigest()):
            return web.Response(status=401)
        self.events.append(json.loads(body))
        return web.Response()

    async def about(self, ares: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
        """The RReqs of an authentication, once so many have come, in the order of their making."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = [e for e in self.events if e["about"] == ares["threeDSServerTransID"]]
                if len(found) >= count:
                    told = sorted(found, key=lambda event: event["seq"])
                    return [event["resource"] for event in told]
                await asyncio.sleep(0.01)
