"""What one event of the router says about a dispute, and what follows from it in the books."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cashier_common.ids import derived_name
from cashier_recon.domain.expectation import DUE_WITHOUT_TERMS, Expectation
from cashier_recon.domain.journal import Account, Cause, Entry, Journal
from cashier_recon.domain.lifecycle import EXPECTATION, ExpectationEvent
from cashier_recon.domain.payment_fact import Leg

FIRST_STAGES: Final = frozenset({"INQUIRY", "CHARGEBACK"})
# The money is gone, and yet nobody knows that it was this merchant's.
MISPLACED: Final = frozenset({"NOT_CAPTURED", "OTHER_ASSET", "OTHER_ACCOUNT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFact:
    """A dispute after a step, and what the step added to what was told of it before.

    Amounts in minor units; a negative one takes back what an earlier step had said too much.
    """

    shard: int
    position: int
    at: datetime
    merchant: str
    payment: str
    dispute: str
    version: int  # of the payment: one step, one change
    processor_account: str
    processor_reference: str
    stage: str
    state: str
    problem: str
    asset: str
    withdrawn: int
    returned: int
    lost: int
    fee: int | None
    liability_shifted: bool
    traceparent: str

    @property
    def source(self) -> str:
        """Where it came from, for the journal."""
        return f"events/{self.shard}/{self.position}"

    def movement(self, way: str) -> str:
        """The name under which one movement of money is expected to settle."""
        return f"{self.dispute}/movements/{self.version}-{way}"


def dispute_journals(fact: DisputeFact) -> Iterator[Journal]:
    """Held, given back, lost: each a journal of its own, none for what did not change.

    Held money waits in `chargebacks` of its processor account; only a loss reaches the merchant.
    """
    held = Cause.DISPUTE_HELD if fact.stage in FIRST_STAGES else Cause.DISPUTE_HELD_AGAIN
    account = fact.processor_account
    if fact.withdrawn:
        yield _journal(fact, held, Account.CHARGEBACKS, account, Account.RECEIVABLE, fact.withdrawn)
    if fact.returned:
        yield _journal(
            fact, Cause.DISPUTE_RETURNED, Account.RECEIVABLE, account, Account.CHARGEBACKS,
            fact.returned,
        )  # fmt: skip
    if fact.lost and fact.problem not in MISPLACED:
        yield _journal(
            fact, Cause.DISPUTE_LOST, Account.MERCHANT_PAYABLE, fact.merchant,
            Account.CHARGEBACKS, fact.lost,
        )  # fmt: skip


def dispute_expectations(fact: DisputeFact) -> Iterator[Expectation]:
    """The lines that a statement must show: a withdrawal with its fee, a return without one.

    What a correction takes back expects nothing; the line that never comes is an exception.
    """
    if fact.withdrawn > 0:
        yield _expected(fact, "withdrawn", -fact.withdrawn, fact.fee)
    if fact.returned > 0:
        yield _expected(fact, "returned", fact.returned, None)


def _journal(
    fact: DisputeFact, cause: Cause, to: Account, to_owner: str, source: Account, amount: int
) -> Journal:
    return Journal(
        journal_id=derived_name(
            "journals", "jrn", "dispute", fact.dispute, str(fact.version), cause
        ),
        cause=cause,
        merchant=fact.merchant,
        payment=fact.payment,
        operation=fact.dispute,
        processor_account=fact.processor_account,
        source=fact.source,
        book_time=fact.at,
        traceparent=fact.traceparent,
        entries=(
            Entry(to, to_owner, fact.asset, amount),
            Entry(source, fact.processor_account, fact.asset, -amount),
        ),
    )


def _expected(fact: DisputeFact, way: str, amount: int, fee: int | None) -> Expectation:
    return Expectation(
        operation=fact.movement(way),
        payment=fact.payment,
        merchant=fact.merchant,
        processor_account=fact.processor_account,
        processor_reference=fact.processor_reference,
        leg=Leg.DISPUTE,
        state=EXPECTATION.next(EXPECTATION.initial, ExpectationEvent.BOOK),
        account=Account.RECEIVABLE,
        amount=amount,
        asset=fact.asset,
        expected_fee=fee,
        fee_schedule_version="",
        due_time=fact.at + DUE_WITHOUT_TERMS,
        book_time=fact.at,
    )
