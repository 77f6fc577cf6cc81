"""Make the kept accounts those of a list: all of it or nothing, with a step for each change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cashier_common.db.transaction import UnitOfWork
from cashier_common.settings import SettingsRefused
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.account_change import (
    AccountFixed,
    Change,
    KeptAccount,
    changes_of,
)
from cashier_gateway.flows.ports import Origin

FROM_SETTINGS = "settings"
"""Who writes what the file in the settings names."""


class Registry(Protocol):
    """The table of accounts. Writes leave with their steps at the unit's end."""

    def begin(self) -> UnitOfWork:
        """A unit of work."""

    async def lock(self, tx: UnitOfWork) -> None:
        """Let nobody else write accounts until the unit ends; readers go on."""

    async def all(self, tx: UnitOfWork | None = None) -> list[KeptAccount]:
        """Every account in the order of their ids, inside the unit or outside of any."""

    def write(self, tx: UnitOfWork, changes: Sequence[Change], origin: Origin, reason: str) -> None:
        """Write the new versions, and a step for each."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was changed, and which accounts the list did not name and were left as they are."""

    changes: tuple[Change, ...]
    left: tuple[str, ...]


async def apply_accounts(
    wanted: Sequence[ProcessorAccount],
    registry: Registry,
    origin: Origin,
    *,
    reason: str,
    whole: bool = False,
) -> Applied:
    """Write what is new or differs in one unit; a crash leaves the accounts as they were.

    Two that apply at once go one after the other. SettingsRefused where an account would become
    another one: nothing is written then.
    """
    async with registry.begin() as tx:
        await registry.lock(tx)
        kept = await registry.all(tx)
        changes = _changes(wanted, kept, whole=whole)
        if changes:
            registry.write(tx, changes, origin, reason)
    named = {account.account_id for account in wanted}
    left = () if whole else tuple(k.account_id for k in kept if k.account_id not in named)
    return Applied(tuple(changes), left)


async def seed_accounts(
    wanted: Sequence[ProcessorAccount], registry: Registry, *, only_empty: bool
) -> Applied:
    """Apply what the settings name at a start, but never over what an operator applied.

    With `only_empty` nothing at all where there are accounts.
    """
    origin = Origin(actor=FROM_SETTINGS, traceparent="")
    async with registry.begin() as tx:
        await registry.lock(tx)
        kept = await registry.all(tx)
        by_operators = {k.account_id for k in kept if k.updated_by != FROM_SETTINGS}
        ours = [account for account in wanted if account.account_id not in by_operators]
        changes = [] if only_empty and kept else _changes(ours, kept, whole=False)
        if changes:
            registry.write(tx, changes, origin, "the settings of a process that starts")
    return Applied(tuple(changes), tuple(sorted(by_operators)))


def _changes(
    wanted: Sequence[ProcessorAccount], kept: Sequence[KeptAccount], *, whole: bool
) -> list[Change]:
    try:
        return changes_of(wanted, kept, whole=whole)
    except AccountFixed as error:
        raise SettingsRefused(str(error)) from None
