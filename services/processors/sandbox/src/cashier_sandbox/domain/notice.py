"""What happened, with everything as it stood right after: what webhooks tell the merchant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from cashier_sandbox.domain.charge import Charge, Payout, Refund, Resource
from cashier_sandbox.domain.dispute import Chargeback
from cashier_sandbox.domain.entry import Entry
from cashier_sandbox.domain.intent import Intent
from cashier_sandbox.domain.script import WRONG_AMOUNT_MINOR

if TYPE_CHECKING:
    from cashier_sandbox.domain.book import Book

EVERY_TYPE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an account wants its notices; `secret` signs them, `types` may hold `*`."""

    id: str
    url: str
    secret: str
    types: tuple[str, ...]
    created_at: str

    def wants(self, type_: str) -> bool:
        """Whether notices of this type go there."""
        return type_ in self.types or EVERY_TYPE in self.types


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to a merchant: the bytes that are sent, and what is not in them."""

    id: str
    type: str
    body: bytes


class Trick(StrEnum):
    """What can be done to one notice, whatever API it speaks."""

    DOUBLE = "double"  # sent twice
    FORGE = "forge"  # beside it, one with a signature of nobody's secret
    FOREIGN = "foreign"  # beside it, one signed with the secret of another account
    ASTRAY = "astray"  # beside it, one to another account's endpoint, signed as that expects
    ALTER = "alter"  # another amount in its place, signed as it should be
    REORDER = "reorder"  # never asked for: it came after a later one, as lateness has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Mischief:
    """What goes wrong with notices: shares in millionths, times in milliseconds.

    `scatter_ms` delays each by a draw up to it, so that they overtake each other; `withhold` keeps
    them back until it is lifted; the rest are shares of `Trick`s.
    """

    late_ms: int = 0
    scatter_ms: int = 0
    withhold: bool = False
    double_ppm: int = 0
    forge_ppm: int = 0
    foreign_ppm: int = 0
    astray_ppm: int = 0
    alter_ppm: int = 0

    def share_ppm(self, trick: Trick) -> int:
        """How many of a million notices meet the trick."""
        share: int = getattr(self, f"{trick}_ppm", 0)
        return share


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A ledger entry and the things that it concerns, as they stood right after it."""

    entry: Entry
    charge: Charge | None = None
    intent: Intent | None = None
    refund: Refund | None = None
    payout: Payout | None = None
    dispute: Chargeback | None = None
    endpoint: Endpoint | None = None

    @property
    def resource(self) -> Resource:
        """The refund, payout or charge that the entry made or changed."""
        found = self.refund or self.payout or self.charge
        if found is None:
            raise LookupError(f"entry {self.entry.seq} concerns no charge, refund or payout")
        return found


def news_of(book: Book, entry: Entry) -> News:
    """Return what an entry that the book has just folded tells."""
    refund, payout = book.refunds.get(entry.id), book.payouts.get(entry.id)
    dispute = book.chargebacks.get(entry.id)
    charge_id = entry.charge or (entry.id if entry.id in book.charges else "")
    charge = book.charges.get(charge_id)
    intent = book.intents.get(charge.intent if charge else entry.id)
    if intent and charge is None:
        charge = book.charges.get(intent.charge)
    return News(
        entry=entry,
        charge=charge,
        intent=intent,
        refund=refund,
        payout=payout,
        dispute=dispute,
        endpoint=book.endpoints.get(entry.id),
    )


def altered(news: News) -> News:
    """Return the same news over another amount, wherever it says one."""
    entry, charge = news.entry, news.charge
    detail, more = entry.detail, WRONG_AMOUNT_MINOR
    if isinstance(detail.get("amount"), int):
        detail = {**detail, "amount": detail["amount"] + more}
    if charge:
        taken = charge.amount_captured and charge.amount_captured + more
        charge = replace(charge, amount=charge.amount + more, amount_captured=taken)
    return replace(
        news,
        entry=replace(entry, moved=entry.moved + more * _sign(entry.moved), detail=detail),
        charge=charge,
        intent=news.intent and replace(news.intent, amount=news.intent.amount + more),
        refund=news.refund and replace(news.refund, amount=news.refund.amount + more),
        payout=news.payout and replace(news.payout, amount=news.payout.amount + more),
        dispute=news.dispute and replace(news.dispute, amount=news.dispute.amount + more),
    )


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
