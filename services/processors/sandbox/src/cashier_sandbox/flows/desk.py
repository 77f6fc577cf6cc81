"""Where the requests of one account meet: its book, its weather and who is being served."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from cashier_sandbox.domain.account import Account
from cashier_sandbox.domain.book import Book
from cashier_sandbox.domain.conditions import Conditions
from cashier_sandbox.flows.ledger import Ledger
from cashier_sandbox.flows.refusals import Code, Refused

# Keys whose tries are remembered: they only matter to scripts that fail the first n requests.
TRIES_MAX = 100_000


@dataclass(slots=True)
class InFlight:
    """A request under a key that had no effect yet."""

    fingerprint: str
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True)
class Desk:
    """One account at work; everything here runs on one event loop, so a step is atomic."""

    account: Account
    ledger: Ledger
    seed: int
    # Whether a failure after the work began is its key's answer for ever, as a success is.
    keeps_failures: bool = False
    # The other accounts of this sandbox by name.
    peers: frozenset[str] = frozenset()
    base_url: str = ""
    conditions: Conditions = field(default_factory=Conditions)
    in_flight: dict[str, InFlight] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    outage_over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def book(self) -> Book:
        """The account's book as it is now."""
        return self.ledger.books[self.account.name]

    def next_try(self, key: str) -> int:
        """Count a request under a key that had no effect so far; 1 for the first."""
        number = self.tries.get(key, 0) + 1
        if number == 1 and len(self.tries) >= TRIES_MAX:
            del self.tries[next(iter(self.tries))]
        self.tries[key] = number
        return number


def not_found(what: str, name: str) -> Refused:
    """Return the refusal for something that this account does not have."""
    return Refused(Code.NOT_FOUND, f"this account has no {what} {name}")
