"""Keeps a process's accounts as fresh as the table, from its start on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from cashier_common.errors import StoreUnavailable
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.flows.apply_accounts import Registry, seed_accounts
from cashier_gateway.flows.refresh_accounts import Terminals

PERIOD_S: Final = 3.0
"""A change is everywhere within this and a moment; one small read each time."""

_log = structlog.get_logger(__name__)


@dataclass
class AccountKeeper:
    """One process's accounts; `seed` is what its settings name."""

    registry: Registry
    terminals: Terminals
    seed: Sequence[ProcessorAccount]
    only_empty: bool
    is_seeded: bool = field(default=False, init=False)

    async def start(self) -> None:
        """The first step; without a database the worker goes on trying."""
        try:
            await self.step()
        except StoreUnavailable as error:
            _log.warning("accounts_not_read", why=str(error))
            return
        if not self.terminals:
            _log.warning("no_accounts", why="none was applied yet: see `accounts apply`")

    async def step(self) -> int:
        """Apply the seed once, then take up what changed; 0, so that the worker rests."""
        if not self.is_seeded and self.seed:
            applied = await seed_accounts(self.seed, self.registry, only_empty=self.only_empty)
            for change in applied.changes:
                _log.info("account_seeded", account=change.account_id, version=change.version)
        await self.terminals.refresh()
        self.is_seeded = True
        return 0
