"""A gateway at the sandbox's bank: rows, files and reports, which move when the test says so."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from cashier_common.clock import SystemClock
from cashier_common.money import Money
from cashier_gateway.clients.bank.adapter import BankProcessor
from cashier_gateway.domain.call import Call, Command
from cashier_gateway.domain.notice import NoticeRefused
from cashier_gateway.flows.exchange_files import ExchangeFiles
from cashier_gateway.flows.ports import Terminal
from cashier_gateway.flows.take_notice import TakeNotice
from cashier_gateway.storage.ach import AchBook
from cashier_gateway.storage.inbox import Inbox
from cashier_gateway.workers.inbox import Postman
from cashier_mesh.databases import ServiceDatabase
from cashier_sandbox.domain.notice import Endpoint
from cashier_sandbox.processors.native.notices import sign
from tests.support.bank_files import ROUTING
from tests.support.gateway_rig import Rig, a_command, a_payout
from tests.support.gateway_sandbox import late_outcomes
from tests.support.postgres_fixture import Copies
from tests.support.processor_stands import BANK as STAND
from tests.support.sandbox_process import Client, Sandbox

BANK = "bank"
KEY = "key-of-bank"
ACCOUNTS = f"""
accounts:
  - {{name: bank, port: 0, imitates: bank, api_key: "test:{KEY}", currencies: [USD],
     fees: {{fixed_minor: {{USD: 30}}, payout_fixed_minor: {{USD: 45}}}}}}
"""
ACCOUNT_NUMBER = "K44-739-21"


@dataclass
class BankRig:
    """The gateway's objects, the sandbox, and the exchange of files between them."""

    rig: Rig
    sandbox: Sandbox
    book: AchBook
    exchange: ExchangeFiles
    postman: Postman

    @classmethod
    async def open(cls, service: ServiceDatabase, sandbox: Sandbox, **changes: Any) -> "BankRig":
        rig = await Rig.open(service)
        account = STAND.account(sandbox.ports[BANK], **changes)
        book = AchBook(rig.database)
        processor = BankProcessor(
            account,
            base_url=account.base_url,
            credential=KEY,
            webhook_secrets=(STAND.webhook_secret,),
            entries=book,
        )
        rig.terminals[BANK] = Terminal(account, processor)
        inbox = Inbox(rig.database)
        return cls(
            rig,
            sandbox,
            book,
            ExchangeFiles(book, inbox, rig.terminals),
            Postman(inbox, TakeNotice(inbox, rig.book, rig.terminals, SystemClock())),
        )

    @property
    def bank(self) -> BankProcessor:
        processor = self.rig.terminals[BANK].processor
        assert isinstance(processor, BankProcessor)
        return processor

    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.sandbox.ports['bank']}", KEY)

    async def token(self, number: str = ACCOUNT_NUMBER) -> str:
        body = {"routing_number": ROUTING, "account_number": number}
        async with self.client() as client:
            return str((await client.post("/v1/bank_tokens", body))["token"])

    async def debit(self, number: str = ACCOUNT_NUMBER, minor: int = 1_250) -> Command:
        command = a_command(BANK, await self.token(number), amount=Money(minor, "USD"))
        return replace(command, request=replace(command.request, method="ACH"))

    async def payout(self, method: str = "ACH", token: str = "", minor: int = 1_250) -> Command:
        command = a_payout(BANK, token or await self.token(), amount=Money(minor, "USD"))
        return replace(command, request=replace(command.request, method=method))

    async def leave(self) -> None:
        """Write and send what waits."""
        await self.exchange.write(BANK, self.bank)
        await self.exchange.send(BANK, self.bank)

    async def settle(self) -> None:
        async with self.sandbox.control() as control:
            await control.post("/control/accounts/bank/ach/settle")

    async def read(self) -> None:
        """Fetch reports and take what they say."""
        await self.exchange.read(BANK, self.bank)
        await self.postman.step()

    async def cycle(self) -> None:
        await self.leave()
        await self.settle()
        await self.read()

    async def moved(self, command: Command) -> list[int]:
        query = f"/control/ledger?moved=true&reference={command.operation}"
        async with self.sandbox.control() as control:
            return [entry["moved"] for entry in (await control.get(query))["entries"]]

    async def rules(self, behaviour: str, operation: str) -> None:
        rule = {"behaviour": behaviour, "operation": operation, "times": 1}
        async with self.sandbox.control() as control:
            status, body, _ = await control.ask(
                "PUT", "/control/accounts/bank/rules", {"rules": [rule]}
            )
        assert status == 200, body

    async def webhook_of(
        self, command: Command, reference: str, trick: str
    ) -> tuple[bytes, dict[str, str]]:
        """What the bank tells once the transfer went through; forged or altered where asked."""
        amount = "13.50" if trick == "alter" else "12.50"
        event = {
            "object": "event",
            "id": f"evt_{reference}",
            "type": "rtp.status",
            "at": datetime.now(UTC).isoformat(),
            "account": BANK,
            "resource": {
                "status": "ACSC",
                "clearing_reference": reference,
                "instructed_amount": {"currency": "USD", "amount": amount},
                "remittance_information": command.operation,
            },
        }
        body = orjson.dumps(event)
        secret = "nobody's" if trick == "forge" else STAND.webhook_secret
        signer = Endpoint(id="ep", url="", secret=secret, types=("*",), created_at="")
        return body, sign(signer, body, int(time.time()))

    async def deliver(self, headers: dict[str, str], body: bytes, *, times: int) -> int:
        """Take a webhook as the intake does; how many notices were new."""
        new = 0
        for _ in range(times):
            with contextlib.suppress(NoticeRefused):
                notices = self.bank.read_notices(headers, body)
                new += await self.exchange.letters.put(BANK, notices, body)
        await self.postman.step()
        return new

    async def call(self, command: Command) -> Call:
        found = await self.rig.found(command)
        assert found is not None
        return found

    async def told(self, command: Command) -> list[Any]:
        """What StreamOutcomes tells of it."""
        return await late_outcomes(self.rig, command.operation)

    async def files(self) -> list[Any]:
        return await self.rig.as_owner("SELECT * FROM ach_files ORDER BY created_at")

    async def letters(self) -> list[Any]:
        return await self.rig.as_owner("SELECT * FROM inbox ORDER BY received_at")


@contextlib.contextmanager
def running_bank(folder: Path) -> Iterator[Sandbox]:
    """A sandbox that is a bank alone."""
    sandbox = Sandbox(folder)
    (folder / "accounts.yaml").write_text(ACCOUNTS)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


async def keep(reference: str) -> None:
    del reference


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    with running_bank(tmp_path_factory.mktemp("bank")) as running:
        yield running


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


@pytest.fixture
async def rig(service, sandbox):
    opened = await BankRig.open(service, sandbox)
    await opened.rig.as_owner("DELETE FROM ach_entries")
    await opened.rig.as_owner("DELETE FROM ach_files")
    yield opened
    async with sandbox.control() as control:
        await control.post("/control/reset")
    await opened.rig.close()
