"""The sandbox as its own process on ports that the operating system chose, for tests."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import aiohttp

START_WAIT_S = 60.0  # beside a dozen other processes that start
STOP_WAIT_S = 10.0
OK = "tok_ok"
CONTROL_TOKEN = "a-token-for-one-test-run"
ACCOUNTS = """
accounts:
  - {name: one, port: 0, api_key: "test:key-of-account-one", currencies: [EUR, USD, JPY],
     fees: {percent_bps: 290, fixed_minor: {EUR: 25}, payout_fixed_minor: {EUR: 10},
            chargeback_fixed_minor: {EUR: 1500}}}
  - {name: two, port: 0, api_key: "test:key-of-account-two", currencies: [EUR]}
"""


class Sandbox:
    """A sandbox that can be started, stopped and killed on one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.control_port = 0
        self.ports: dict[str, int] = {}
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "accounts.yaml").write_text(ACCOUNTS)

    @property
    def ledger_path(self) -> Path:
        return self.folder / "ledger.jsonl"

    def environment(self, **extra: str) -> dict[str, str]:
        """The child's environment: the caller's, without settings of other sandboxes."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CASHIER_SANDBOX_")}
        return {
            **kept,
            "CASHIER_SANDBOX_DATA_DIR": str(self.folder),
            "CASHIER_SANDBOX_ACCOUNTS": str(self.folder / "accounts.yaml"),
            "CASHIER_SANDBOX_CONTROL_PORT": "0",
            "CASHIER_SANDBOX_CONTROL_TOKEN": CONTROL_TOKEN,
            "CASHIER_SANDBOX_SEED": "7",
            **extra,
        }

    def start(self) -> None:
        log = (self.folder / "sandbox.log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cashier_sandbox", "serve"],
            env=self.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in (self.folder / "sandbox.log").read_text().splitlines():
                if '"serving"' in line:
                    facts = json.loads(line)
                    self.control_port, self.ports = facts["control_port"], facts["accounts"]
                    return
            time.sleep(0.05)
        raise RuntimeError("no sandbox: " + (self.folder / "sandbox.log").read_text())

    def stop(self) -> int:
        return self._end("terminate")

    def kill(self) -> int:
        return self._end("kill")

    def log(self) -> str:
        return (self.folder / "sandbox.log").read_text()

    def _end(self, how: str) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        getattr(process, how)()
        return process.wait(STOP_WAIT_S)

    def account(self, name: str = "one") -> "Client":
        return Client(f"http://127.0.0.1:{self.ports[name]}", f"key-of-account-{name}")

    def control(self) -> "Client":
        return Client(f"http://127.0.0.1:{self.control_port}", CONTROL_TOKEN)


class Client:
    """An HTTP client of one port; answers (status, body, headers)."""

    def __init__(self, base: str, secret: str) -> None:
        self._base, self._secret = base, secret

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._secret}"},
            connector=aiohttp.TCPConnector(limit=200),
            timeout=aiohttp.ClientTimeout(total=20),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **kwargs: Any
    ) -> tuple[int, Any, Any]:
        headers = {"Idempotency-Key": key} if key is not None else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        url = path if path.startswith("http") else self._base + path
        async with self._session.request(
            method, url, data=body, headers=headers, **kwargs
        ) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(raw) if is_json else raw, response.headers

    async def get(self, path: str) -> Any:
        status, body, _ = await self.ask("GET", path)
        assert status == 200, body
        return body

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        status, answer, _ = await self.ask("POST", path, body or {}, key=key)
        assert status in {200, 201}, answer
        return answer

    async def charge(self, key: str, token: str = OK, **fields: Any) -> tuple[int, Any, Any]:
        body = {"amount": 1250, "currency": "EUR", "token": token, "reference": f"ref-{key}"}
        return await self.ask("POST", "/v1/charges", body | fields, key=key)


@contextlib.contextmanager
def running_sandbox(folder: Path) -> Iterator[Sandbox]:
    """A started sandbox; gone at the end, however it ends."""
    sandbox = Sandbox(folder)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()
