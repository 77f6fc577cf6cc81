"""dLocal's API as its pages describe it, asked without our adapter: headers, signature, bodies."""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.sandbox_process import Sandbox

ACCOUNT = "dlocal-one"
TRANS_KEY, SECRET = "trans-key-one", "secret-key-one"
CLIENT, CLIENT_SECRET = "client-one", "client-secret-one"
CPF, RFC = "52998224725", "GODE561231GR8"
ACCOUNTS = f"""
accounts:
  - {{name: {ACCOUNT}, port: 0, imitates: dlocal,
     api_key: "test:{TRANS_KEY}:{SECRET}:{CLIENT}:{CLIENT_SECRET}", currencies: [BRL, MXN, USD],
     fees: {{percent_bps: 320, payout_fixed_minor: {{BRL: 90}}}}}}
"""


@contextlib.contextmanager
def running_dlocal(folder: Path) -> Iterator[Sandbox]:
    """A started sandbox whose one account speaks dLocal's API."""
    sandbox = Sandbox(folder)
    (folder / "accounts.yaml").write_text(ACCOUNTS)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()


def signature(login: str, date: str, body: bytes, secret: str = SECRET) -> str:
    """What the Authorization header has to hold."""
    digest = hmac.new(secret.encode(), login.encode() + date.encode() + body, hashlib.sha256)
    return f"V2-HMAC-SHA256, Signature: {digest.hexdigest()}"


def a_payment(order: str, **changes: Any) -> dict[str, Any]:
    """A card payment of 12.50 BRL that captures at once, unless the test says otherwise."""
    body: dict[str, Any] = {
        "amount": 12.50,
        "currency": "BRL",
        "country": "BR",
        "payment_method_id": "CARD",
        "payment_method_flow": "DIRECT",
        "payer": {"name": "Maria Silva", "email": "maria@example.com", "document": CPF},
        "card": {"token": "tok_ok"},
        "order_id": order,
    }
    body |= changes
    return {name: value for name, value in body.items() if value is not None}


def a_pix(order: str, **changes: Any) -> dict[str, Any]:
    """A payment by PIX."""
    return a_payment(order, **({"payment_method_id": "PQ", "card": None} | changes))


def a_voucher(order: str, **changes: Any) -> dict[str, Any]:
    """A payment by OXXO."""
    payer = {"name": "Eva Gomez", "email": "eva@example.com", "document": RFC}
    told = {"payment_method_id": "OX", "card": None, "country": "MX", "currency": "MXN"}
    return a_payment(order, **(told | {"payer": payer} | changes))


def a_payout(name: str, **changes: Any) -> dict[str, Any]:
    """A payout of 12.50 BRL by PIX."""
    person = {"first_name": "Maria", "last_name": "Silva", "document": CPF}
    body = {
        "external_id": name, "amount": 12.50, "currency": "BRL", "country": "BR",
        "payment_method_id": "INSTANT_PAYMENT",
        "beneficiary": person | {"bank_details": {"pix_key": "tok_ok"}},
    }  # fmt: skip
    return body | changes


class Client:
    """Signs like a merchant; answers are (HTTP status, body with exact decimals)."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._base = f"http://127.0.0.1:{sandbox.ports[ACCOUNT]}"
        self._session = aiohttp.ClientSession()

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str = "", **headers: str
    ) -> tuple[int, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        date = datetime.now(UTC).isoformat()
        told = {
            "X-Date": date, "X-Login": ACCOUNT, "X-Trans-Key": TRANS_KEY, "X-Version": "2.1",
            "Authorization": signature(ACCOUNT, date, raw),
        } | ({"X-Idempotency-Key": key} if key else {})  # fmt: skip
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(
            method, self._base + path, data=raw or None, headers=told
        ) as response:
            return response.status, json.loads(await response.read(), parse_float=Decimal)

    async def pay(self, body: Any, key: str = "") -> Any:
        status, answer = await self.ask("POST", "/payments", body, key=key)
        assert 200 == status, answer
        return answer

    async def payout(self, body: Any, key: str = "") -> tuple[int, Any]:
        """A payout with a fresh access token."""
        credentials = {"client_id": CLIENT, "client_secret": CLIENT_SECRET}
        _, token = await self.ask(
            "POST", "/oauth/token", {"grant_type": "client_credentials"} | credentials
        )
        bearer = f"Bearer {token['access_token']}"
        return await self.ask("POST", "/payouts/v3", body, key=key, Authorization=bearer)

    async def close(self) -> None:
        await self._session.close()
