"""The watcher: reads the chain and moves deposits; any number may run, one moves at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from cashier_common.clock import Clock
from cashier_crypto.domain.account import ProcessorAccount
from cashier_crypto.domain.errors import ChainUnavailable, MovedOn
from cashier_crypto.flows.advance_transfers import advance_transfers
from cashier_crypto.flows.fill_pool import FREE_MIN, fill_pool
from cashier_crypto.flows.follow_chain import Watch, follow_chain
from cashier_crypto.flows.judge_sightings import judge_sightings
from cashier_crypto.flows.ports import Book, ChainRecord, Endpoint

POOL_PERIOD_S = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Watcher:
    """One chain. `endpoints` are all that must agree; the first one is read."""

    book: Book
    record: ChainRecord
    endpoints: Sequence[Endpoint]
    accounts: Mapping[str, ProcessorAccount]
    watch: Watch
    clock: Clock

    async def step(self) -> int:
        """Read what is new and move what it moves; 0 where nothing happened.

        Whatever is left by a crash is found again: each part starts from the rows.
        """
        chain = self.watch.chain
        try:
            done = await follow_chain(
                self.endpoints[0], self.record, self.book, self.watch, self.clock
            )
        except ChainUnavailable as error:
            _log.warning("chain_not_read", chain=chain, error=str(error))
            return 0
        except MovedOn:  # another watcher read these blocks
            done = 0
        done += await judge_sightings(self.book, self.record, chain, self.clock)
        done += await advance_transfers(
            self.book, self.record, self.endpoints, self.accounts, chain, self.clock
        )
        return done


@dataclass(frozen=True)
class PoolFiller:
    """Keeps addresses ready in every pool."""

    book: Book
    accounts: Mapping[str, ProcessorAccount]

    async def step(self) -> int:
        """Derive a batch for each pool that runs low."""
        added = 0
        for xpub in {account.deposit_xpub for account in self.accounts.values()}:
            added += await fill_pool(self.book, xpub, free_min=FREE_MIN)
        return added
