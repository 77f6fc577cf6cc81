"""Give out an address once per operation; a duplicate gets what the first one got."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cashier_common.clock import Clock
from cashier_common.errors import FieldInvalid, OperationFenced, OperationReused
from cashier_common.failpoints import hit
from cashier_crypto.domain.account import ProcessorAccount
from cashier_crypto.domain.errors import AccountNotEligible, OperationKnown, PoolEmpty
from cashier_crypto.domain.transfer import Command, Transfer
from cashier_crypto.domain.xpub import ExtendedKey
from cashier_crypto.flows.fill_pool import FREE_MIN, fill_pool
from cashier_crypto.flows.ports import Book, Origin

# Between filling an empty pool and taking from it, others may empty it again.
POOL_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Authorize:
    """The flow with its ports."""

    book: Book
    accounts: Mapping[str, ProcessorAccount]
    clock: Clock
    filling: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, command: Command, origin: Origin) -> tuple[Transfer | None, bool]:
        """The deposit as it stands, and whether an earlier call made it.

        None when the command's time is over and nothing was written. A crash before the commit
        promised nothing and leaves the address free; after it, the same call finds the deposit.
        """
        account = self.accounts.get(command.account)
        if account is None:
            raise FieldInvalid(
                "processor_account", command.account, "an account that ListCapabilities names"
            )
        earlier = await self._earlier(command)
        if earlier is not None:
            return earlier, True
        if command.expire_at is not None and command.expire_at <= self.clock.now():
            return None, False
        account.check(
            merchant=command.merchant, method=command.method, amount=command.amount,
            chain=command.chain,
        )  # fmt: skip
        for _ in range(POOL_TRIES):
            try:
                return await self._begin(command, account, origin), False
            except PoolEmpty:
                async with self.filling:  # who waited finds that the first one derived enough
                    await fill_pool(self.book, account.deposit_xpub, free_min=FREE_MIN)
            except OperationKnown:
                found = await self._earlier(command)
                if found is None:  # rows are never deleted
                    raise RuntimeError(f"the row of {command.operation} is gone") from None
                return found, True
        raise AccountNotEligible(
            processor_account=account.account_id, problem="its addresses are given out faster "
            "than they are derived: send the operation again"
        )  # fmt: skip

    async def _begin(self, command: Command, account: ProcessorAccount, origin: Origin) -> Transfer:
        pool = ExtendedKey.parse(account.deposit_xpub).fingerprint
        async with self.book.begin() as tx:
            address = await self.book.take_address(tx, pool=pool)
            transfer = Transfer.awaited(
                command, account, address=address, traceparent=origin.traceparent,
                at=self.clock.now(),
            )  # fmt: skip
            self.book.add(tx, transfer, command.fingerprint, origin)
        await hit("crypto.after_row")
        return transfer

    async def _earlier(self, command: Command) -> Transfer | None:
        found = await self.book.find(merchant=command.merchant, operation=command.operation)
        if found is None:
            return None
        if found.fenced:
            raise OperationFenced(operation=command.operation)
        if found.fingerprint != command.fingerprint:
            raise OperationReused(operation=command.operation)
        return found.transfer
