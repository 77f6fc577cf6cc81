"""Disputes in the books: held, given back, held again, lost; and the lines that settle them."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashier.payments.v1 import dispute_pb2
from cashier.payments.v1 import payment_admin_service_pb2 as admin
from cashier_recon.clients.router import fed_event
from cashier_recon.domain.dispute_fact import DisputeFact, dispute_journals
from cashier_recon.domain.journal import NOBODY, Account, settlement_journal
from cashier_recon.domain.lifecycle import ExpectationState
from cashier_recon.domain.matching import Outcome, match
from cashier_recon.domain.posting import FedEvent, operations_of, plan
from cashier_recon.domain.statement import Category, Line, numbered

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DISPUTE = "payments/pay_a/disputes/dis_a"


def fact(position=1, **changes):
    known = DisputeFact(
        shard=0, position=position, at=AT + timedelta(hours=position), merchant="shop",
        payment="payments/pay_a", dispute=DISPUTE, version=position + 2,
        processor_account="acct", processor_reference="dp_1", stage="CHARGEBACK", state="OPEN",
        problem="UNSPECIFIED", asset="EUR", withdrawn=0, returned=0, lost=0, fee=None,
        liability_shifted=False, traceparent="",
    )  # fmt: skip
    return replace(known, **changes)


STORY = [
    fact(1, stage="INQUIRY"),
    fact(2, withdrawn=100, fee=15),
    fact(3, state="WON", returned=100),
    fact(4, stage="SECOND_CHARGEBACK", withdrawn=100),
    fact(5, stage="SECOND_CHARGEBACK", state="LOST", lost=100),
]


def posted(facts):
    events = [FedEvent(one.position, dispute=one) for one in facts]
    return plan(events, after=0)


def balances(journals):
    sums = defaultdict(int)
    for journal in journals:
        assert 0 == sum(entry.amount for entry in journal.entries)
        for entry in journal.entries:
            sums[entry.account] += entry.amount
    return {account: amount for account, amount in sums.items() if amount}


def a_line(amount, number, *, fee=0, source="dp_1", account="acct"):
    return Line(
        line_id="", processor_account=account, external_id=f"txn_{number}", occurrence=1,
        row=number, type="adjustment", category=Category.DISPUTE, source=source,
        description="payments/pay_a/operations/1", asset="EUR", amount=amount, fee=fee,
        net=amount - fee, created=AT + timedelta(hours=number), available_on=AT, payout="po_1",
    )  # fmt: skip


def test_a_story_is_held_given_back_held_again_and_lost():
    posting = posted(STORY)

    assert ["DISPUTE_HELD", "DISPUTE_RETURNED", "DISPUTE_HELD_AGAIN", "DISPUTE_LOST"] == [
        journal.cause for journal in posting.journals
    ]
    assert {Account.RECEIVABLE: -100, Account.MERCHANT_PAYABLE: 100} == balances(posting.journals)
    assert [(-100, 15), (100, None), (-100, None)] == [
        (one.amount, one.expected_fee) for one in posting.expectations
    ]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (1, {}),
        (2, {Account.RECEIVABLE: -100, Account.CHARGEBACKS: 100}),
        (3, {}),
        (4, {Account.RECEIVABLE: -100, Account.CHARGEBACKS: 100}),
    ],
)
def test_what_is_held_waits_in_chargebacks_until_it_is_decided(until, expected):
    assert expected == balances(posted(STORY[:until]).journals)


def test_the_lines_of_a_story_settle_it_each_its_own_movement():
    posting = posted(STORY)
    lines = numbered([a_line(-100, 6, fee=15), a_line(100, 7), a_line(-100, 8, fee=15)])

    verdicts = match(reversed(lines), posting.expectations)

    assert [Outcome.MATCHED] * 3 == [verdict.outcome for verdict in verdicts]
    assert 3 == len({verdict.operation.operation for verdict in verdicts})
    settled = [
        settlement_journal(verdict.line, account=verdict.operation.account, at=AT, about=NOBODY)
        for verdict in verdicts
    ]
    assert {Account.CLEARING: -130, Account.FEES: 30, Account.MERCHANT_PAYABLE: 100} == balances(
        [*posting.journals, *settled]
    )


def test_a_second_withdrawal_waits_for_its_own_line():
    first, back, second = posted(STORY).expectations
    known = [replace(first, state=ExpectationState.SETTLED), back, second]

    (verdict,) = match(numbered([a_line(-100, 9)]), known)

    assert (Outcome.MATCHED, second) == (verdict.outcome, verdict.operation)


def test_one_line_more_than_there_were_movements_is_a_duplicate():
    lines = numbered([a_line(-100, 6), a_line(-100, 7)])

    outcomes = [v.outcome for v in match(lines, posted(STORY[:3]).expectations)]

    assert sorted([Outcome.MATCHED, Outcome.DUPLICATE_SETTLEMENT]) == sorted(outcomes)


def test_a_return_that_nobody_booked_is_no_withdrawals_line():
    (verdict,) = match(numbered([a_line(100, 6)]), posted(STORY[:2]).expectations)

    assert Outcome.CHARGEBACK_UNBOOKED is verdict.outcome


@pytest.mark.parametrize("problem", ["NOT_CAPTURED", "OTHER_ASSET", "OTHER_ACCOUNT"])
def test_a_loss_of_what_may_not_be_the_merchants_is_not_booked_to_him(problem):
    journals = posted([fact(1, withdrawn=100, lost=100, state="LOST", problem=problem)]).journals

    assert {Account.RECEIVABLE: -100, Account.CHARGEBACKS: 100} == balances(journals)


def test_a_late_word_that_corrects_an_earlier_one_takes_back_its_journal():
    journals = posted([fact(1, withdrawn=100), fact(2, withdrawn=-100)]).journals

    assert {} == balances(journals)


def test_the_same_step_posted_again_changes_nothing():
    known = {one.operation: one for one in posted(STORY).expectations}
    events = [FedEvent(2, dispute=STORY[1])]

    again = plan(events, after=0, known=known)

    assert [f"{DISPUTE}/movements/4-withdrawn"] == operations_of(events)
    assert ([], []) == (again.journals, again.expectations)


@settings(max_examples=30)
@given(st.lists(st.tuples(*(st.integers(-500, 500) for _ in range(3))), max_size=6))
def test_every_dispute_journal_balances_whatever_was_told(changes):
    for position, (withdrawn, returned, lost) in enumerate(changes, start=1):
        told = fact(position, withdrawn=withdrawn, returned=returned, lost=lost)
        journals = list(dispute_journals(told))
        balances(journals)
        assert len(journals) == len({journal.journal_id for journal in journals})


def test_an_event_about_a_dispute_says_what_it_changed():
    event = admin.PaymentEvent()
    event.step.position, event.step.version, event.payment.name = 7, 4, "payments/pay_a"
    event.operation.name = "payments/pay_a/operations/1"
    change = event.dispute_change
    change.dispute.CopyFrom(
        dispute_pb2.Dispute(
            name=DISPUTE, merchant="shop", stage=dispute_pb2.Dispute.STAGE_CHARGEBACK,
            state=dispute_pb2.Dispute.STATE_LOST, processor_account="acct",
            processor_reference="dp_1", liability_shifted=True,
        )
    )  # fmt: skip
    change.dispute.fee.minor = 15
    for part, minor in ((change.withdrawn_change, 100), (change.lost_change, 100)):
        part.minor, part.asset_code = minor, "EUR"

    fed = fed_event(event, 3)

    assert fed.fact is None
    told = fed.dispute
    assert (100, 0, 100, 15, "CHARGEBACK", "LOST", True) == (
        told.withdrawn, told.returned, told.lost, told.fee, told.stage, told.state,
        told.liability_shifted,
    )  # fmt: skip
