"""Double entry: which accounts an operation or a statement line moves, and by how much."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cashier_common.ids import derived_name
from cashier_recon.domain.payment_fact import OperationKind, PaymentFact, moved
from cashier_recon.domain.statement import Category, Line


class Account(StrEnum):
    """Kinds of account. Debits are positive. The owner is a processor account, or a merchant."""

    RECEIVABLE = "receivable"  # what the processor still has to settle
    WALLET = "wallet"  # coins that we hold on a chain
    CLEARING = "clearing"  # settled, on our balance at the processor
    BANK_IN_TRANSIT = "bank_in_transit"  # on its way between processor and bank
    RESERVE = "reserve"  # held back by the processor
    FEES = "fees"
    CHARGEBACKS = "chargebacks"  # taken back, and not lost to a merchant (yet)
    SUSPENSE = "suspense"  # on our balance, and nobody knows why
    WRITE_OFF = "write_off"
    MERCHANT_PAYABLE = "merchant_payable"  # owned by a merchant: what we owe them


class Cause(StrEnum):
    """What a journal is about; part of its id, so that each happens once."""

    PAYMENT_CAPTURED = "PAYMENT_CAPTURED"
    PAYMENT_REFUNDED = "PAYMENT_REFUNDED"
    PAYOUT_PAID = "PAYOUT_PAID"
    PAYMENT_REVERSED = "PAYMENT_REVERSED"
    DISPUTE_HELD = "DISPUTE_HELD"
    DISPUTE_HELD_AGAIN = "DISPUTE_HELD_AGAIN"  # a second chargeback, or arbitration
    DISPUTE_RETURNED = "DISPUTE_RETURNED"
    DISPUTE_LOST = "DISPUTE_LOST"
    SETTLEMENT_LINE = "SETTLEMENT_LINE"
    SETTLEMENT_SUSPENDED = "SETTLEMENT_SUSPENDED"
    SUSPENSE_RELEASED = "SUSPENSE_RELEASED"
    PROCESSOR_LINE = "PROCESSOR_LINE"
    WRITTEN_OFF = "WRITTEN_OFF"


@dataclass(frozen=True, slots=True)
class Entry:
    """One leg: a signed amount in minor units, debits positive."""

    account: Account
    owner: str
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class About:
    """Whose journal it is; empty words where nobody knows."""

    merchant: str = ""
    payment: str = ""
    operation: str = ""


NOBODY = About()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Entries that sum to zero per asset, and what they are about."""

    journal_id: str
    cause: Cause
    merchant: str
    payment: str
    operation: str
    processor_account: str
    source: str
    book_time: datetime
    traceparent: str
    entries: tuple[Entry, ...]


_CAUSES = {
    OperationKind.AUTHORIZE: Cause.PAYMENT_CAPTURED,
    OperationKind.CAPTURE: Cause.PAYMENT_CAPTURED,
    OperationKind.REFUND: Cause.PAYMENT_REFUNDED,
    OperationKind.PAYOUT: Cause.PAYOUT_PAID,
    OperationKind.REVERSAL: Cause.PAYMENT_REVERSED,
}
CRYPTO_RAIL = "crypto"


def operation_journal(fact: PaymentFact) -> Journal:
    """The journal of an operation that succeeded and moved money.

    Its id comes from the operation and the cause alone: an operation succeeds once, however often
    the router's events say so.
    """
    cause = _CAUSES[fact.kind]
    amount = moved(fact)
    return Journal(
        journal_id=derived_name("journals", "jrn", "operation", fact.operation, cause),
        cause=cause,
        merchant=fact.merchant,
        payment=fact.payment,
        operation=fact.operation,
        processor_account=fact.processor_account,
        source=fact.source,
        book_time=fact.at,
        traceparent=fact.traceparent,
        entries=(
            Entry(holder(fact.rail), fact.processor_account, fact.asset, amount),
            Entry(Account.MERCHANT_PAYABLE, fact.merchant, fact.asset, -amount),
        ),
    )


def holder(rail: str) -> Account:
    """Where money is between success and settlement: at the processor, or in our wallet."""
    return Account.WALLET if rail == CRYPTO_RAIL else Account.RECEIVABLE


_CONTRA = {
    Category.BANK: Account.BANK_IN_TRANSIT,
    Category.FEE: Account.FEES,
    Category.RESERVE: Account.RESERVE,
}


def settlement_journal(
    line: Line, *, account: Account, at: datetime, about: About
) -> Journal | None:
    """A matched line: gross leaves `account`, where the operation put it, for clearing."""
    return _line_journal(line, Cause.SETTLEMENT_LINE, _moved_by(line, account), at, about)


def suspended_journal(line: Line, *, parked: Account, at: datetime) -> Journal | None:
    """A line that belongs to nothing yet is on our balance all the same: booked on `parked`."""
    return _line_journal(line, Cause.SETTLEMENT_SUSPENDED, _moved_by(line, parked), at, NOBODY)


def released_journal(
    line: Line, *, parked: Account, account: Account, at: datetime, about: About
) -> Journal | None:
    """A suspended line found its operation: gross moves from `parked` to where it belongs."""
    owner, asset = line.processor_account, line.asset
    entries = _balanced(
        Entry(parked, owner, asset, line.amount),
        Entry(account, owner, asset, -line.amount),
    )
    return _line_journal(line, Cause.SUSPENSE_RELEASED, entries, at, about)


def processor_journal(line: Line, *, at: datetime) -> Journal | None:
    """A line of the processor's own: payout to the bank, fee, reserve."""
    entries = _moved_by(line, _CONTRA.get(line.category, Account.SUSPENSE))
    return _line_journal(line, Cause.PROCESSOR_LINE, entries, at, NOBODY)


def write_off_journal(
    *,
    exception: str,
    account: Account,
    owner: str,
    asset: str,
    amount: int,
    at: datetime,
    payment: str,
) -> Journal:
    """What stands on `account` (signed) becomes a loss or a gain of ours."""
    return Journal(
        journal_id=derived_name("journals", "jrn", "exception", exception, Cause.WRITTEN_OFF),
        cause=Cause.WRITTEN_OFF,
        merchant="",
        payment=payment,
        operation="",
        processor_account=owner,
        source=exception,
        book_time=at,
        traceparent="",
        entries=_balanced(
            Entry(account, owner, asset, -amount), Entry(Account.WRITE_OFF, owner, asset, amount)
        ),
    )


def _moved_by(line: Line, contra: Account) -> tuple[Entry, ...]:
    owner, asset = line.processor_account, line.asset
    return _balanced(
        Entry(Account.CLEARING, owner, asset, line.net),
        Entry(Account.FEES, owner, asset, line.fee),
        Entry(contra, owner, asset, -line.amount),
    )


def _balanced(*entries: Entry) -> tuple[Entry, ...]:
    """The same with one leg per account and none of zero."""
    sums: dict[tuple[Account, str, str], int] = defaultdict(int)
    for entry in entries:
        sums[entry.account, entry.owner, entry.asset] += entry.amount
    return tuple(Entry(*key, amount) for key, amount in sums.items() if amount)


def _line_journal(
    line: Line, cause: Cause, entries: tuple[Entry, ...], at: datetime, about: About
) -> Journal | None:
    if not entries:
        return None
    return Journal(
        journal_id=derived_name("journals", "jrn", "line", line.line_id, cause),
        cause=cause,
        merchant=about.merchant,
        payment=about.payment,
        operation=about.operation,
        processor_account=line.processor_account,
        source=line.line_id,
        book_time=at,
        traceparent="",
        entries=entries,
    )
