"""What the control API steers: the desks, their outages, and the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cashier_sandbox.flows.deliver_notice import Deliveries
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.ledger import Ledger
from cashier_sandbox.flows.outages import Outages
from cashier_sandbox.flows.refusals import Code, Refused

EVERY_ACCOUNT = "*"


class Files(Protocol):
    """Where settlement files are kept."""

    def write(self, account: str, name: str, content: bytes) -> None:
        """Put a file, whole or not at all."""

    def read(self, account: str, name: str) -> bytes:
        """Return a file; FileNotFoundError if it is gone."""


class Port(Protocol):
    """A port that is being served."""

    port: int


@dataclass(frozen=True, slots=True)
class Counter:
    """One account: where it is served, its desk, its outages, its notices if it sends any."""

    desk: Desk
    outages: Outages
    listener: Port
    deliveries: Deliveries | None = None


@dataclass(slots=True, kw_only=True)
class Branch:
    """Everything that runs in this process."""

    ledger: Ledger
    files: Files
    seed: int
    now: Callable[[], str]
    counters: dict[str, Counter] = field(default_factory=dict)
    control: Port | None = None

    def counter(self, account: str) -> Counter:
        """Return one account by its name."""
        if account not in self.counters:
            known = ", ".join(self.counters)
            raise Refused(Code.NOT_FOUND, f"there is no such account; there are {known}", "account")
        return self.counters[account]

    def chosen(self, account: str) -> list[Counter]:
        """Return one account, or all of them for `*`."""
        return list(self.counters.values()) if account == EVERY_ACCOUNT else [self.counter(account)]

    def dispute_holder(self, name: str) -> Desk:
        """Return the desk of the account that has a chargeback."""
        for counter in self.counters.values():
            if name in counter.desk.book.chargebacks:
                return counter.desk
        raise Refused(Code.NOT_FOUND, f"no account has {name}")

    def holder(self, name: str) -> Desk:
        """Return the desk of the account that has a charge, refund or payout."""
        for counter in self.counters.values():
            if counter.desk.book.resource(name):
                return counter.desk
        raise Refused(Code.NOT_FOUND, f"no account has {name}")
