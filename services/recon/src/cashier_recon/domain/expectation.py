"""What should settle for an operation: how much, at what fee, until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cashier_recon.domain.journal import Account, holder
from cashier_recon.domain.lifecycle import EXPECTATION, ExpectationEvent, ExpectationState
from cashier_recon.domain.payment_fact import Leg, PaymentFact, leg_of, moved

# The router freezes a due time on everything that settles; where it did not, two settlement days of
# most processors and one of grace.
DUE_WITHOUT_TERMS = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One per operation. `amount` is signed as the statement will show it, in minor units."""

    operation: str
    payment: str
    merchant: str
    processor_account: str
    processor_reference: str
    leg: Leg
    state: ExpectationState
    account: Account
    """Where the operation's journal put the money; settlement takes it from there."""
    amount: int
    asset: str
    expected_fee: int | None
    """None where no schedule was frozen."""
    fee_schedule_version: str
    due_time: datetime | None
    book_time: datetime


def expected(fact: PaymentFact, state: ExpectationState) -> Expectation:
    """The expectation as this fact leaves it."""
    due = fact.due_time
    if due is None and state is ExpectationState.OPEN:
        due = fact.at + DUE_WITHOUT_TERMS
    return Expectation(
        operation=fact.operation,
        payment=fact.payment,
        merchant=fact.merchant,
        processor_account=fact.processor_account,
        processor_reference=fact.processor_reference,
        leg=leg_of(fact.kind) or Leg.CHARGE,
        state=state,
        account=holder(fact.rail),
        amount=moved(fact),
        asset=fact.asset,
        expected_fee=fact.expected_fee,
        fee_schedule_version=fact.fee_schedule_version,
        due_time=due,
        book_time=fact.at,
    )


def follow(
    earlier: Expectation | None, fact: PaymentFact, event: ExpectationEvent
) -> Expectation | None:
    """The expectation after one more fact; None when the fact says nothing new.

    Saying again what is booked changes nothing. Anything else that the table refuses raises
    TransitionRefused: it is about money, so nobody may guess.
    """
    state = earlier.state if earlier else EXPECTATION.initial
    if earlier and _repeats(earlier, event):
        later = expected(fact, earlier.state)
        same = (later.amount, later.asset, later.processor_account) == (
            earlier.amount,
            earlier.asset,
            earlier.processor_account,
        )
        if same:
            return None
    return expected(fact, EXPECTATION.next(state, event))


def _repeats(earlier: Expectation, event: ExpectationEvent) -> bool:
    return earlier.state in _AFTER.get(event, ())


_AFTER = {
    ExpectationEvent.BOOK: (
        ExpectationState.OPEN,
        ExpectationState.SETTLED,
        ExpectationState.DIFFERS,
        ExpectationState.WRITTEN_OFF,
    ),
    ExpectationEvent.DECLINE: (ExpectationState.DECLINED,),
    ExpectationEvent.RELEASE: (ExpectationState.RELEASED,),
}
