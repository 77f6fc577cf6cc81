"""Keeps the inbox small, and tells how much of it waits: facts go first, names much later."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from cashier_common.clock import Clock
from cashier_gateway.flows.notice_desk import (
    DOUBTFUL_FACTS_LIFE,
    FACTS_LIFE,
    Backlog,
    key_life,
)
from cashier_gateway.flows.notice_ports import InboxState
from cashier_gateway.flows.ports import Terminal

PERIOD_S: Final = 15.0
_KEPT: Final = (InboxState.WAITING, InboxState.DEAD)


class Shelf(Protocol):
    """What the inbox offers to whoever tidies it; each call is one batch and one statement."""

    async def backlog(self) -> list[Backlog]:
        """The states in which letters are left, with how many and how old."""

    async def forget_facts(self, *, life: timedelta, doubtful_life: timedelta) -> int:
        """Drop the facts of one batch of settled letters; their names stay."""

    async def forget_names(self, accounts: list[str], *, life: timedelta) -> int:
        """Drop one batch of letters without facts that nobody can send again."""


@dataclass
class InboxKeeper:
    """The worker's step; replicas share the work, and each tells the same gauges."""

    shelf: Shelf
    terminals: Mapping[str, Terminal]
    clock: Clock
    _left: dict[InboxState, Backlog] = field(default_factory=dict)

    def __post_init__(self) -> None:
        meter = metrics.get_meter("cashier_gateway")
        meter.create_observable_gauge(
            "cashier.gateway.inbox_letters", [self.counts],
            description="Letters that wait or are dead.",
        )  # fmt: skip
        meter.create_observable_gauge(
            "cashier.gateway.inbox_oldest_age", [self.ages], unit="s",
            description="Since when the oldest of them waits or is dead.",
        )  # fmt: skip

    async def step(self) -> int:
        """Forget a batch of each kind; how many letters that were, 0 where no more are old."""
        self._left = {one.state: one for one in await self.shelf.backlog()}
        reaped = await self.shelf.forget_facts(life=FACTS_LIFE, doubtful_life=DOUBTFUL_FACTS_LIFE)
        by_life: defaultdict[timedelta, list[str]] = defaultdict(list)
        for name, terminal in self.terminals.items():
            by_life[key_life(terminal.account.processor)].append(name)
        for life, accounts in by_life.items():
            reaped += await self.shelf.forget_names(accounts, life=life)
        return reaped

    def counts(self, _: CallbackOptions) -> Iterable[Observation]:
        """How many letters wait, and how many are dead."""
        for state in _KEPT:
            left = self._left.get(state)
            yield Observation(left.count if left else 0, {"state": state.value})

    def ages(self, _: CallbackOptions) -> Iterable[Observation]:
        """Seconds since the oldest of them came, 0 where there is none."""
        for state in _KEPT:
            left = self._left.get(state)
            age = self.clock.now() - left.oldest_at if left else timedelta()
            yield Observation(max(age.total_seconds(), 0.0), {"state": state.value})
