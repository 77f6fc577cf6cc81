"""The accounts as they are now, each with an adapter that fits: no change needs a restart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from pydantic import ValidationError

from cashier_common.clock import Clock
from cashier_common.settings import SettingsRefused
from cashier_gateway.domain.account import TIMEOUT_MAX_S, ProcessorAccount
from cashier_gateway.domain.account_change import KeptAccount
from cashier_gateway.flows.apply_accounts import Registry
from cashier_gateway.flows.ports import UNWATCHED, Processor, Terminal, Watch

# What an adapter has no use for: a change of these alone keeps its connections.
OFFER_FIELDS: Final = frozenset(
    {
        "state", "merchants", "methods", "assets", "countries", "licences",
        "merchant_category_codes", "limits", "fees", "settlement_lag_days", "card_brands",
        "vault_tokens_accepted", "strict_controls",
        "installments_max", "payer_required", "concurrency_max",
    }
)  # fmt: skip
# A replaced adapter may still be waiting for answers: two exchanges, and as much again.
RETIRE_AFTER_S: Final = 4 * TIMEOUT_MAX_S

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where an account's processor is and what opens it: what its references stand for now."""

    base_url: str
    credential: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)


Wire = Callable[[ProcessorAccount], Wiring]
"""Resolves the references of an account; SettingsRefused names one that leads nowhere."""
Make = Callable[[ProcessorAccount, Wiring], Processor]
WatchOf = Callable[[ProcessorAccount], Watch]


@dataclass(frozen=True, slots=True)
class _Seat:
    version: int
    wiring: Wiring
    terminal: Terminal


@dataclass(frozen=True, slots=True)
class _Retired:
    since_s: float
    processor: Processor


class Terminals(Mapping[str, Terminal]):
    """Account id to terminal, as of the last `refresh`. An account never leaves it."""

    def __init__(
        self,
        registry: Registry,
        wire: Wire,
        make: Make,
        clock: Clock,
        watch_of: WatchOf = lambda _: UNWATCHED,
    ) -> None:
        self._registry, self._wire, self._make, self._clock = registry, wire, make, clock
        self._watch_of = watch_of
        self._seats: dict[str, _Seat] = {}
        self._retired: list[_Retired] = []
        self._told: dict[str, str] = {}

    def __getitem__(self, account_id: str) -> Terminal:
        return self._seats[account_id].terminal

    def __iter__(self) -> Iterator[str]:
        return iter(self._seats)

    def __len__(self) -> int:
        return len(self._seats)

    async def refresh(self) -> int:
        """Read the accounts and take up what changed; how many did.

        An account that cannot be used is told of once and keeps its last adapter, if it had one:
        one bad reference stops neither the others nor what is under way.
        """
        seats = dict(self._seats)
        for kept in await self._registry.all():
            seat = self._seat(kept, self._seats.get(kept.account_id))
            if seat is not None:
                seats[kept.account_id] = seat
        changed = [name for name, seat in seats.items() if self._seats.get(name) is not seat]
        replaced = [self._seats[n].terminal.processor for n in changed if n in self._seats]
        self._seats = seats
        used = {id(seat.terminal.processor) for seat in seats.values()}
        now_s = self._clock.monotonic()
        self._retired += [_Retired(now_s, one) for one in replaced if id(one) not in used]
        await self._let_go([one for one in self._retired if one.since_s < now_s - RETIRE_AFTER_S])
        for name in changed:
            _log.info("account_taken_up", account=name, version=seats[name].version)
        return len(changed)

    async def close(self) -> None:
        """Close every adapter, the replaced ones too."""
        await self._let_go(list(self._retired))
        for terminal in self.values():
            await terminal.processor.close()

    def _seat(self, kept: KeptAccount, old: _Seat | None) -> _Seat | None:
        try:
            if old is not None and old.version == kept.version:
                account = old.terminal.account
            else:
                account = ProcessorAccount.model_validate(kept.document)
        except ValidationError as error:  # written by a newer program
            faults = error.errors(include_url=False, include_input=False)
            self._tell(kept, "; ".join(f"{fault['loc']}: {fault['msg']}" for fault in faults))
            return old
        try:
            wiring = self._wire(account)
        except SettingsRefused as error:
            self._tell(kept, str(error))
            if old is None or old.version == kept.version:
                return old
            # What it may take is known even so: a limit or DISABLED does not wait for a secret.
            return self._seated(kept, old.wiring, account, old.terminal.processor)
        self._told.pop(kept.account_id, None)
        if old is not None and old.version == kept.version and old.wiring == wiring:
            return old
        if (
            old is not None
            and old.wiring == wiring
            and _same_adapter(old.terminal.account, account)
        ):
            return self._seated(kept, wiring, account, old.terminal.processor)
        return self._seated(kept, wiring, account, self._make(account, wiring))

    def _seated(
        self, kept: KeptAccount, wiring: Wiring, account: ProcessorAccount, processor: Processor
    ) -> _Seat:
        return _Seat(kept.version, wiring, Terminal(account, processor, self._watch_of(account)))

    def _tell(self, kept: KeptAccount, fault: str) -> None:
        told = f"{kept.version}: {fault}"
        if self._told.get(kept.account_id) != told:
            self._told[kept.account_id] = told
            _log.error("account_unusable", account=kept.account_id, version=kept.version, why=fault)

    async def _let_go(self, gone: Sequence[_Retired]) -> None:
        self._retired = [one for one in self._retired if one not in gone]
        for one in gone:
            await one.processor.close()


def _same_adapter(one: ProcessorAccount, other: ProcessorAccount) -> bool:
    return _wired(one) == _wired(other)


def _wired(account: ProcessorAccount) -> dict[str, Any]:
    return account.model_dump(exclude=set(OFFER_FIELDS))
