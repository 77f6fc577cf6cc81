"""Everything that one account knows, folded from its ledger entries and from nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cashier_sandbox.domain.authentication import Authentication
from cashier_sandbox.domain.bank import BANK_KINDS, BankBook, opened_by
from cashier_sandbox.domain.charge import Charge, Payout, Refund, Resource
from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.dispute import Chargeback
from cashier_sandbox.domain.entry import Entry, Kind
from cashier_sandbox.domain.fold import FOLD
from cashier_sandbox.domain.intent import Intent
from cashier_sandbox.domain.movement import Movement, Totals, add_up, movement_of
from cashier_sandbox.domain.notice import Endpoint, News, news_of
from cashier_sandbox.domain.script import Fault, Twist
from cashier_sandbox.domain.vault_token import VaultToken

_OPERATIONS: dict[Kind, Operation] = {
    Kind.CHARGE: Operation.CHARGE,
    Kind.CAPTURE: Operation.CAPTURE,
    Kind.VOID: Operation.VOID,
    Kind.REFUND: Operation.REFUND,
    Kind.PAYOUT: Operation.PAYOUT,
    Kind.INTENT: Operation.INTENT,
    Kind.INTENT_CANCELED: Operation.VOID,
    Kind.DISPUTE_EVIDENCE: Operation.DISPUTE,
    Kind.DISPUTE_CLOSED: Operation.DISPUTE,
    Kind.ENDPOINT: Operation.ENDPOINT,
    Kind.MODIFICATION_REFUSED: Operation.VOID,
    Kind.TOKEN: Operation.TOKEN,
    Kind.TOKEN_EXCHANGED: Operation.TOKEN,
    Kind.ACH_FILE: Operation.FILE,
    Kind.AUTHENTICATION: Operation.AUTHENTICATION,
    Kind.AUTHENTICATION_ASKED: Operation.AUTHENTICATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentKey:
    """What was done under an idempotency key, and everything as it was first answered.

    `fault` is set where the first answer was a failure that the key keeps for ever.
    """

    operation: Operation
    fingerprint: str
    news: News
    twist: Twist | None
    fault: Fault | None

    @property
    def resource(self) -> Resource:
        """The charge, refund or payout that the key made or changed."""
        return self.news.resource


class Book:
    """One account's charges, intents, refunds, payouts, disputes, keys, endpoints, movements."""

    def __init__(self) -> None:
        self.charges: dict[str, Charge] = {}
        self.intents: dict[str, Intent] = {}
        self.refunds: dict[str, Refund] = {}
        self.payouts: dict[str, Payout] = {}
        self.chargebacks: dict[str, Chargeback] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.by_reference: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.spent: dict[str, SpentKey] = {}
        self.closed: set[str] = set()
        # Keys whose first answer was a refusal that is kept: key → the entry's detail.
        self.failed: dict[str, Mapping[str, Any]] = {}
        self.movements: list[Movement] = []
        # The movements of a charge, refund, payout or chargeback, in order.
        self.moved_by: dict[str, list[Movement]] = defaultdict(list)
        # Captures, refunds and payouts that had succeeded and failed at the bank.
        self.failed_later: set[str] = set()
        self.vault: dict[str, VaultToken] = {}
        self.bank = BankBook()
        # By threeDSServerTransID; and acsTransID → threeDSServerTransID.
        self.authentications: dict[str, Authentication] = {}
        self.challenges: dict[str, str] = {}
        self.settled_count = 0
        self.settlements: list[Entry] = []
        self.entries: list[Entry] = []
        self.news: list[News] = []
        self.totals: defaultdict[str, Totals] = defaultdict(Totals)
        # What still waits for an answer by itself: resource id → (due, epoch ms; decline or None).
        self.due: dict[str, tuple[int, str | None]] = {}

    def apply(self, entry: Entry) -> None:
        """Add one entry; the same entries in the same order make the same book."""
        self.entries.append(entry)
        if entry.kind not in BANK_KINDS:
            FOLD[entry.kind](self, entry)
        for opened in opened_by(entry):
            FOLD[opened.kind](self, opened)
        self.bank.hear(entry)
        if entry.moved:
            movement = movement_of(entry)
            self.movements.append(movement)
            self.moved_by[movement.source].append(movement)
            add_up(self.totals, entry)
        news = news_of(self, entry)
        self.news.append(news)
        if entry.key is not None and entry.kind in _OPERATIONS:
            self.spent[entry.key] = _spent(entry, news)

    def resource(self, name: str) -> Resource | None:
        """Return a charge, refund or payout by its id."""
        return self.charges.get(name) or self.refunds.get(name) or self.payouts.get(name)


def _spent(entry: Entry, news: News) -> SpentKey:
    twist, fault = entry.detail.get("twist"), entry.detail.get("fault")
    return SpentKey(
        operation=Operation(entry.detail.get("operation", _OPERATIONS[entry.kind])),
        fingerprint=entry.detail["fingerprint"],
        news=news,
        twist=Twist(twist) if twist else None,
        fault=Fault(fault) if fault else None,
    )


def books_of(entries: Iterable[Entry]) -> dict[str, Book]:
    """Return every account's book as the entries make it."""
    books: dict[str, Book] = defaultdict(Book)
    for entry in entries:
        books[entry.account].apply(entry)
    return books
