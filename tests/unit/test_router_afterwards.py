"""What a rail tells after its answer: taken back, disputed, or too late."""

from dataclasses import replace

import pytest

from cashier_common.money import Money
from cashier_router.domain.afterwards import Later, News, hear
from cashier_router.domain.commands import RefundPayment
from cashier_router.domain.follow_up import plan
from cashier_router.domain.lifecycle import (
    OperationEvent,
    OperationKind,
    OperationState,
    PaymentState,
)
from cashier_router.domain.payment import CaptureMethod, Direction
from cashier_router.domain.progress import Outcome, answer
from tests.support.router_values import AT, USD_100, a_payment, disputed

S, E, K = OperationState, OperationEvent, OperationKind


def ended(event=E.SUCCEED, **changes):
    """A payment of 100.00 USD whose only try ended so."""
    return answer(a_payment(**changes), 1, Outcome(event), at=AT, may_go_on=False)[0]


def refunded(payment, minor):
    command = RefundPayment(
        merchant=payment.merchant, key="k" * 16, payment=payment.name, reason="",
        amount=Money(minor, "USD"),
    )  # fmt: skip
    promised, _, number = plan(payment, command, AT)
    return answer(promised, number, Outcome(E.SUCCEED), at=AT, may_go_on=False)[0]


def taken_back(minor=None, reference="rev_1", number=1):
    amount = Money(minor, "USD") if minor else None
    outcome = Outcome(E.LOSE_TRACK, amount=amount, detail="R01 insufficient funds")
    return Later(News.TAKEN_BACK, number, outcome, reversal_reference=reference)


def late_success():
    return Later(News.OUTCOME, 1, Outcome(E.SUCCEED, processor_reference="ch_late"))


def test_what_the_bank_takes_back_is_an_operation_of_its_own_and_the_success_stays():
    heard = hear(ended(), taken_back(), AT)

    original, reversal = heard.payment.operations
    assert S.SUCCEEDED is original.state
    assert (K.REVERSAL, S.SUCCEEDED, 1) == (reversal.kind, reversal.state, reversal.target)
    assert (10_000, 0) == (heard.payment.amounts.refunded, heard.payment.amounts.refundable)
    assert PaymentState.SUCCEEDED is heard.payment.state


def test_the_same_reversal_told_twice_is_one():
    once = hear(ended(), taken_back(), AT).payment

    again = hear(once, taken_back(), AT)

    assert "OUTCOME_REPEATED" == again.step.action
    assert once.operations == again.payment.operations
    assert once.version + 1 == again.payment.version


def test_two_reversals_of_parts_are_two():
    once = hear(ended(), taken_back(4_000, "rev_1"), AT).payment

    twice = hear(once, taken_back(6_000, "rev_2"), AT).payment

    assert 10_000 == twice.amounts.refunded


def test_a_return_of_what_was_refunded_stays_in_bounds_and_is_an_incident():
    heard = hear(refunded(ended(), 7_000), taken_back(10_000), AT)

    assert (10_000, 10_000) == (heard.payment.amounts.refunded, heard.payment.amounts.captured)
    assert "twice" in heard.incident


def test_a_refund_that_failed_at_the_bank_makes_room_again():
    heard = hear(refunded(ended(), 7_000), taken_back(7_000, number=2), AT)

    assert (0, 10_000) == (heard.payment.amounts.refunded, heard.payment.amounts.refundable)


@pytest.mark.parametrize("event", [E.DECLINE_HARD, E.DECLINE_SOFT, E.FAIL_UNSENT])
def test_a_success_after_a_no_is_given_back_at_once(event):
    heard = hear(ended(event), late_success(), AT)

    original, reversal = heard.payment.operations
    assert original.state in {S.DECLINED_HARD, S.DECLINED_SOFT, S.NOT_SENT}
    assert (K.REVERSAL, S.SUBMITTING, 1) == (reversal.kind, reversal.state, reversal.target)
    assert "ch_late" == original.processor_reference
    assert PaymentState.FAILED is heard.payment.state
    assert heard.incident


def test_a_late_success_told_twice_is_given_back_once():
    once = hear(ended(E.DECLINE_HARD), late_success(), AT).payment

    again = hear(once, late_success(), AT)

    assert ("OUTCOME_REPEATED", 2) == (again.step.action, len(again.payment.operations))


def test_a_giving_back_that_did_not_come_about_waits_for_a_person():
    opened = hear(ended(E.DECLINE_HARD), late_success(), AT).payment

    refused, _ = answer(opened, 2, Outcome(E.DECLINE_HARD), at=AT, may_go_on=False)

    assert refused.in_doubt


def test_a_late_payout_cannot_be_called_back_and_waits_for_a_person():
    failed = ended(E.DECLINE_HARD, direction=Direction.PAYOUT)

    heard = hear(failed, late_success(), AT)

    assert S.MANUAL_REVIEW is heard.payment.operations[1].state
    assert heard.payment.in_doubt


def test_a_dispute_takes_its_amount_out_of_what_can_be_refunded_until_it_is_won():
    opened = hear(ended(), disputed(6_000), AT).payment

    won = hear(opened, disputed(6_000, state="won"), AT)

    assert (6_000, 4_000) == (opened.amounts.disputed, opened.amounts.refundable)
    assert (0, 10_000) == (won.payment.amounts.disputed, won.payment.amounts.refundable)
    assert 1 == len(won.payment.disputes)


def test_a_question_of_the_bank_moves_no_money():
    heard = hear(ended(), disputed(withdrawn=False), AT)

    assert 0 == heard.payment.amounts.disputed
    assert "DISPUTE_OPENED" == heard.step.action


def test_a_chargeback_after_a_refund_is_an_incident_and_stays_in_bounds():
    heard = hear(refunded(ended(), 7_000), disputed(10_000), AT)

    assert (7_000, 3_000) == (heard.payment.amounts.refunded, heard.payment.amounts.disputed)
    assert heard.incident


def test_a_word_that_we_do_not_know_is_kept_and_changes_nothing():
    before = ended()

    heard = hear(before, Later(News.UNKNOWN, 1, Outcome(E.LOSE_TRACK)), AT)

    assert replace(before, version=before.version + 1) == heard.payment
    assert "OUTCOME_KEPT_AS_EVIDENCE" == heard.step.action


def test_an_old_doubt_about_what_is_resolved_wakes_nobody():
    heard = hear(ended(), Later(News.OUTCOME, 1, Outcome(E.LOSE_TRACK)), AT)

    assert ("OUTCOME_REPEATED", "") == (heard.step.action, heard.incident)


def test_a_doubt_of_which_the_rail_says_that_it_is_pending_stays_and_wakes_nobody():
    doubt = ended(E.LOSE_TRACK)

    heard = hear(doubt, Later(News.OUTCOME, 1, Outcome(E.ACCEPT)), AT)

    assert (S.IN_DOUBT, "") == (heard.payment.operations[0].state, heard.incident)


@pytest.mark.parametrize("told", [E.FAIL_UNSENT, E.PROVE_ABSENT, E.DECLINE_SOFT])
def test_another_word_for_nothing_happened_wakes_nobody(told):
    heard = hear(ended(E.DECLINE_HARD), Later(News.OUTCOME, 1, Outcome(told)), AT)

    assert ("OUTCOME_REPEATED", "") == (heard.step.action, heard.incident)


def test_money_in_another_asset_is_never_booked_as_taken_back():
    later = replace(taken_back(), outcome=Outcome(E.LOSE_TRACK, amount=Money(5, "EUR")))

    heard = hear(ended(), later, AT)

    assert (1, USD_100) == (len(heard.payment.operations), heard.payment.amount)
    assert heard.incident


def test_a_manual_authorization_that_comes_too_late_is_given_back_too():
    failed = ended(E.DECLINE_HARD, capture_method=CaptureMethod.MANUAL)

    heard = hear(failed, late_success(), AT)

    assert S.SUBMITTING is heard.payment.operations[1].state
    assert 0 == heard.payment.amounts.authorized
