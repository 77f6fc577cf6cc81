"""The crypto rail's objects on real PostgreSQL and a chain, driven step by step."""

import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from cashier_common.clock import SystemClock
from cashier_common.db.audit import (
    SHARD_COUNT,
    Sealer,
    Verification,
    read_late,
    read_sealed,
    verify,
)
from cashier_common.db.engine import Database
from cashier_common.money import Money
from cashier_crypto.app import watch_of
from cashier_crypto.domain.account import ProcessorAccount
from cashier_crypto.domain.outcome import Outcome
from cashier_crypto.domain.transfer import Command, Transfer
from cashier_crypto.domain.xpub import DEVELOPMENT
from cashier_crypto.flows.authorize import Authorize
from cashier_crypto.flows.look_up import LookUp, Question
from cashier_crypto.flows.ports import Origin
from cashier_crypto.storage.chain_record import ChainRecordStore
from cashier_crypto.storage.listing import TransferList
from cashier_crypto.storage.transfers import TransferBook
from cashier_crypto.workers.watcher import PoolFiller, Watcher
from cashier_mesh.databases import ServiceDatabase
from tests.support.crypto_chain import USDC, USDT, Chain

MERCHANT = "acme-games"
ORIGIN = Origin("spiffe://cashier.local/service/router", f"00-{'a' * 32}-{'b' * 16}-00")
CONFIRMATIONS = 3
ROUNDS_MAX = 40

_numbers = itertools.count(1)


def an_operation() -> str:
    """The name of an operation that no other test uses."""
    return f"payments/pay_{time.time_ns()}{next(_numbers)}/operations/1"


def an_account(chain: str, **changes: Any) -> ProcessorAccount:
    """An account with the two test tokens."""
    facts = {
        "account_id": "evm-usdc",
        "chain": chain,
        "start_block": 0,
        "required_confirmations": CONFIRMATIONS,
        "deposit_lifetime_s": 3600,
        "deposit_xpub": DEVELOPMENT,
        "tokens": [
            {"asset": "USDC", "contract": USDC, "decimals": 6},
            {"asset": "USDT", "contract": USDT, "decimals": 6},
        ],
        "fee_version": "v1",
        "settlement_lag_days": 1,
    }
    return ProcessorAccount.model_validate(facts | changes)


def a_command(chain: str = "", **changes: Any) -> Command:
    """A deposit of 12.50 USDC, unless the test says otherwise."""
    command = Command(
        merchant=MERCHANT,
        operation=an_operation(),
        account="evm-usdc",
        amount=Money(12_500_000, "USDC"),
        method="STABLECOIN",
        chain=chain,
        capture=True,
    )
    return replace(command, **changes)


@dataclass
class Rig:
    """One process's objects; `twin()` is a second watcher beside the first."""

    database: Database
    chain: Chain
    account: ProcessorAccount
    endpoints: list[Any]

    def __post_init__(self) -> None:
        clock, accounts = SystemClock(), {self.account.account_id: self.account}
        self.book, self.record = TransferBook(self.database), ChainRecordStore(self.database)
        self.flow = Authorize(self.book, accounts, clock)
        self.asking = LookUp(self.book, self.record, accounts, self.endpoints[0], clock)
        self.watcher = Watcher(
            self.book, self.record, self.endpoints, accounts, watch_of(accounts), clock
        )
        self.pool = PoolFiller(self.book, accounts)
        self.list = TransferList(self.database)
        self.sealer = Sealer(self.database)

    def twin(self) -> "Rig":
        return Rig(self.database, self.chain, self.account, self.endpoints)

    async def authorize(self, command: Command | None = None) -> Transfer:
        transfer, _ = await self.flow(command or a_command(), ORIGIN)
        assert transfer is not None
        return transfer

    async def look_up(self, transfer: Transfer, *, close_door: bool = False) -> Outcome:
        _, outcome = await self.asking(question(transfer, close_door=close_door), ORIGIN)
        return outcome

    async def watch(self) -> None:
        """Let the watcher work until nothing is left to do."""
        for _ in range(ROUNDS_MAX):
            if not await self.watcher.step():
                return
        raise RuntimeError("the watcher finds no rest")

    async def now(self, transfer: Transfer) -> Transfer:
        found = await self.list.one(transfer.merchant, transfer.name)
        assert found is not None
        return found

    async def pay_through(self, transfer: Transfer, units: int | None = None) -> str:
        """Pay and let it become final."""
        tx_hash = self.chain.pay(transfer.address, units or transfer.amount.minor)
        self.chain.mine(self.account.required_confirmations)
        await self.watch()
        return tx_hash

    async def steps(self, transfer: Transfer | None = None) -> list[Any]:
        """Sealed steps of one deposit, or of all, in order."""
        while await self.sealer.step():
            pass
        steps = [
            step
            for shard in range(SHARD_COUNT)
            for step in await read_sealed(self.database, shard=shard, after=0)
        ]
        return [step for step in steps if transfer is None or step.subject == transfer.name]

    async def actions(self, transfer: Transfer) -> list[str]:
        return [step.action for step in await self.steps(transfer)]

    async def told(self, transfer: Transfer | None = None) -> list[Outcome]:
        """Late outcomes, as StreamOutcomes tells them."""
        while await self.sealer.step():
            pass
        return [
            Outcome.from_json(json.loads(step.payload)["outcome"])
            for shard in range(SHARD_COUNT)
            for step in await read_late(self.database, shard=shard, after=0)
            if transfer is None or step.subject == transfer.name
        ]

    async def verify(self) -> Verification:
        return await verify(self.database)


def question(transfer: Transfer, *, close_door: bool) -> Question:
    return Question(
        merchant=transfer.merchant,
        operation=transfer.operation,
        account=transfer.account,
        amount=transfer.amount,
        close_door=close_door,
    )


@asynccontextmanager
async def a_rig(service: ServiceDatabase, chain: Chain, **changes: Any) -> AsyncIterator[Rig]:
    """A rig on a database and a chain; its two endpoints are the same node twice."""
    database = await Database.connect(service.app_url, name="test")
    endpoints = [chain.endpoint("one"), chain.endpoint("two")]
    rig = Rig(database, chain, an_account(chain.caip2, **changes), endpoints)
    try:
        yield rig
    finally:
        for endpoint in endpoints:
            await endpoint.close()
        await database.close()
