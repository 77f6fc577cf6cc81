"""A gateway with real PostgreSQL and a sandbox around it, for tests."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from cashier_common.clock import SystemClock
from cashier_common.db.engine import Database
from cashier_common.db.sealer import Sealer
from cashier_common.ids import operation_name, payment_name
from cashier_common.money import Money
from cashier_gateway.app import ADAPTERS
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.flows.look_up import LookUp, Question
from cashier_gateway.flows.ports import Origin, Terminal
from cashier_gateway.flows.submit import Submit
from cashier_gateway.flows.under_way import UnderWay
from cashier_gateway.storage.calls import CallBook
from cashier_gateway.storage.payer_seal import PayerSeal
from cashier_gateway.workers.resume import Resumer
from cashier_mesh.databases import ServiceDatabase
from tests.support.sandbox_process import Sandbox

SANDBOX_ACCOUNTS = """
accounts:
  - {name: one, port: 0, api_key: "test:key-of-account-one", currencies: [EUR, USD, JPY, KWD],
     fees: {percent_bps: 290, fixed_minor: {EUR: 25}}}
"""
ORIGIN = Origin("spiffe://cashier.local/service/router", f"00-{'a' * 32}-{'b' * 16}-00")
START_WAIT_S = 60.0  # a Python process on a machine that runs many tests at once
MERCHANT = "acme-games"
ABLE = {"partial_capture": True, "multiple_capture": True, "refund": True, "payout": True}

_numbers = itertools.count(1)


def an_operation() -> str:
    """The name of an operation that no other test uses."""
    payment = payment_name(MERCHANT, f"{time.time_ns()}-{next(_numbers)}")
    return operation_name(payment, 1)


def a_command(
    account: str = "one",
    token: str = "tok_ok",  # noqa: S107 - the sandbox's word for a card that works
    *,
    operation: str = "",
    **changes: Any,
) -> Command:
    """An authorization of 12.50 EUR that captures at once, unless the test says otherwise."""
    amount = changes.pop("amount", Money(1250, "EUR"))
    capture = changes.pop("capture", True)
    command = Command(
        merchant=MERCHANT,
        operation=operation or an_operation(),
        account=account,
        amount=amount,
        request=Request(kind=Kind.AUTHORIZE, token=token, capture=capture, method="CARD"),
    )
    return replace(command, **changes)


def a_follow_up(
    kind: Kind, target: Command, number: int = 2, *, amount: Money | None = None, **asked: Any
) -> Command:
    """A capture, void or refund of the target, as the next operation of its payment."""
    payment, _, _ = target.operation.rpartition("/operations/")
    return Command(
        merchant=target.merchant,
        operation=operation_name(payment, number),
        account="",
        amount=amount or target.amount,
        request=Request(kind=kind, target=target.operation, **asked),
    )


def a_payout(account: str = "one", token: str = "tok_ok", **changes: Any) -> Command:  # noqa: S107
    """A payout of 12.50 EUR."""
    request = Request(kind=Kind.PAYOUT, token=token, method="CARD")
    return replace(a_command(account, **changes), request=request)


def sandbox_account(sandbox: Sandbox, **changes: Any) -> ProcessorAccount:
    """An account of the sandbox as the accounts file would say it."""
    facts = {
        "account_id": "one",
        "processor": "sandbox",
        "base_url": f"http://127.0.0.1:{sandbox.ports['one']}",
        "credential": "test:key-of-account-one",
        "honours_idempotency_keys": True,
        "assets": ["EUR", "USD", "JPY", "KWD"],
        "fees": {"version": "v1", "percent_bps": 290, "fixed": {"EUR": 25}},
        "settlement_lag_days": 2,
        "capabilities": ABLE,
    }
    return ProcessorAccount.model_validate(facts | changes)


@dataclass
class Rig:
    """One gateway process's objects on a database; `twin()` is a second process beside it."""

    service: ServiceDatabase
    database: Database
    terminals: dict[str, Terminal]
    under_way: UnderWay = field(default_factory=UnderWay)

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.book = CallBook(self.database, PayerSeal.for_development())
        self.flow = Submit(self.book, self.terminals, self.under_way, clock)
        self.asking = LookUp(self.book, self.terminals, clock)
        self.resumer = Resumer(self.book, self.terminals, clock)
        self.sealer = Sealer(self.database)

    @classmethod
    async def open(cls, service: ServiceDatabase, *accounts: ProcessorAccount) -> "Rig":
        database = await Database.connect(service.app_url, name="gateway test")
        return cls(service, database, {a.account_id: Terminal(a, adapter(a)) for a in accounts})

    async def twin(self) -> "Rig":
        """A second process on the same database, with connections of its own."""
        return await Rig.open(self.service, *(at.account for at in self.terminals.values()))

    async def authorize(self, command: Command, wait_s: float = 15.0) -> Call:
        call, _ = await self.flow(command, ORIGIN, wait_s=wait_s)
        assert call is not None
        return call

    async def look_up(self, command: Command, *, close_door: bool = True) -> Call | None:
        question = Question(
            merchant=command.merchant,
            operation=command.operation,
            account=command.account,
            amount=command.amount,
            close_door=close_door,
        )
        if not question.account:
            found = await self.found(command)
            question = replace(question, account=found.account if found else "one")
        return await self.asking(question, ORIGIN)

    async def found(self, command: Command) -> Call | None:
        return await self.book.find(merchant=command.merchant, operation=command.operation)

    async def lapse(self, command: Command) -> None:
        """Let the lease of a call end now."""
        await self.as_owner(
            "UPDATE calls SET lease_until = now() - interval '1 s' WHERE operation = $1",
            command.operation,
        )

    async def as_owner(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.service.owner_url)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def close(self) -> None:
        for terminal in self.terminals.values():
            await terminal.processor.close()
        await self.database.close()


def adapter(account: ProcessorAccount) -> Any:
    """The real adapter of an account whose address and test keys stand in the account itself."""
    return ADAPTERS[account.processor](
        account,
        base_url=account.base_url,
        credential=account.credential.removeprefix("test:"),
        webhook_secrets=tuple(one.removeprefix("test:") for one in account.webhook_secrets),
    )


@contextlib.contextmanager
def running_sandbox(folder: Path) -> Iterator[Sandbox]:
    """The sandbox with the accounts of these tests."""
    sandbox = Sandbox(folder)
    (folder / "accounts.yaml").write_text(SANDBOX_ACCOUNTS)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()


async def charges(sandbox: Sandbox, operation: str) -> list[Mapping[str, Any]]:
    """What the sandbox's own ledger says was charged under an operation's name."""
    entries = await entries_of(sandbox, operation)
    return [e for e in entries if e["moved"] and e["kind"] in {"charge", "resolve"}]


async def entries_of(sandbox: Sandbox, operation: str) -> list[Mapping[str, Any]]:
    """Everything that the sandbox's own ledger has under an operation's name."""
    async with sandbox.control() as control:
        ledger = await control.get(f"/control/ledger?reference={operation}")
    return list(ledger["entries"])


def accounts_file(path: Path, *accounts: ProcessorAccount) -> Path:
    """The accounts as the file that the setting PROCESSOR_ACCOUNTS names."""
    rows = [a.model_dump(mode="json", exclude_defaults=True) for a in accounts]
    path.write_text(yaml.safe_dump({"accounts": rows}))
    return path
