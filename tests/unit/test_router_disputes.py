"""A dispute's story at one payment: what is held, what is given back, and what people must see."""

import pytest

from cashier_common.money import Money
from cashier_router.domain.afterwards import Later, News, hear
from cashier_router.domain.amounts import Problem, problem_of
from cashier_router.domain.attention import Attention, attention
from cashier_router.domain.commands import CancelPayment, RefundPayment
from cashier_router.domain.dispute import NEWS_MAX, Effect, effects_of
from cashier_router.domain.follow_up import plan
from cashier_router.domain.lifecycle import OperationEvent, OperationKind, PaymentState
from cashier_router.domain.payment import CaptureMethod, Direction
from cashier_router.domain.progress import Outcome, answer
from cashier_router.domain.standing import Standing
from tests.support.router_values import AT, a_payment, disputed

E, N = OperationEvent, Standing


def ended(event=E.SUCCEED, **changes):
    return answer(a_payment(**changes), 1, Outcome(event), at=AT, may_go_on=False)[0]


def after(*words, payment=None):
    payment = payment or ended()
    for word in words:
        payment = hear(payment, word, AT).payment
    return payment


def refunded(payment, minor):
    command = RefundPayment(
        merchant=payment.merchant, key="k" * 16, payment=payment.name, reason="",
        amount=Money(minor, "USD"),
    )  # fmt: skip
    promised, _, number = plan(payment, command, AT)
    return answer(promised, number, Outcome(E.SUCCEED), at=AT, may_go_on=False)[0]


STORY = [
    (disputed(stage="inquiry", withdrawn=False, after_s=0), N.INQUIRY_OPEN, 0),
    (disputed(after_s=1), N.CHARGEBACK_OPEN, 10_000),
    (disputed(stage=None, state="challenged", withdrawn=False, after_s=2),
     N.CHARGEBACK_CHALLENGED, 10_000),
    (disputed(state="won", withdrawn=False, after_s=3), N.CHARGEBACK_WON, 0),
    (disputed(after_s=4), N.SECOND_CHARGEBACK_OPEN, 10_000),
    (disputed(state="lost", after_s=5), N.SECOND_CHARGEBACK_LOST, 10_000),
]  # fmt: skip


def test_a_whole_story_holds_gives_back_and_holds_again():
    payment, seen = ended(), []
    for word, _, _ in STORY:
        payment = hear(payment, word, AT).payment
        seen.append((payment.disputes[0].standing, payment.amounts.disputed))

    assert [(standing, held) for _, standing, held in STORY] == seen
    (dispute,) = payment.disputes
    assert (20_000, 10_000, 10_000) == (
        dispute.withdrawn_sum, dispute.returned_sum, dispute.lost,
    )  # fmt: skip


def test_the_story_told_backwards_ends_the_same():
    forwards = after(*(word for word, _, _ in STORY))
    backwards = after(*(word for word, _, _ in reversed(STORY)))

    assert forwards.disputes == backwards.disputes
    assert forwards.amounts == backwards.amounts


def test_a_stage_that_has_passed_is_kept_and_moves_nothing():
    payment = after(disputed(after_s=1), disputed(stage="inquiry", withdrawn=False, after_s=2))

    assert N.CHARGEBACK_OPEN is payment.disputes[0].standing
    assert [Effect.MOVED, Effect.PASSED] == effects_of(payment.disputes[0])


def test_what_cannot_be_after_what_was_known_is_an_incident_and_evidence():
    lost = after(disputed(stage="arbitration", state="won", withdrawn=False))

    heard = hear(lost, disputed(stage="arbitration", state="canceled", after_s=1), AT)

    assert "DISPUTE_KEPT_AS_EVIDENCE" == heard.step.action
    assert "cannot be" in heard.incident
    assert N.ARBITRATION_WON is heard.payment.disputes[0].standing


def test_a_part_is_held_as_that_part_and_several_disputes_add_up():
    payment = after(disputed(3_000), disputed(4_000, reference="dp_2"))

    assert (7_000, 3_000) == (payment.amounts.disputed, payment.amounts.refundable)


def test_an_amount_that_nobody_said_is_all_that_was_taken():
    assert 10_000 == after(disputed(0, asset="")).amounts.disputed


def test_what_a_refund_did_not_leave_is_listed_for_people_until_it_is_given_back():
    heard = hear(refunded(ended(), 7_000), disputed(10_000), AT)
    won = hear(heard.payment, disputed(state="won", withdrawn=False, after_s=1), AT).payment

    assert (3_000, 0) == (heard.payment.amounts.disputed, heard.payment.amounts.refundable)
    assert (Attention.DISPUTE_EXCEEDS,) == attention(heard.payment)
    assert Problem.EXCEEDS_PAYMENT is problem_of(heard.payment, heard.payment.disputes[0])
    assert "twice" in heard.incident
    assert ((), 3_000) == (attention(won), won.amounts.refundable)


@pytest.mark.parametrize(
    ("payment", "word", "problem"),
    [
        (ended(), disputed(asset="EUR"), Problem.OTHER_ASSET),
        (ended(), disputed(account="sandbox-eu"), Problem.OTHER_ACCOUNT),
        (ended(E.DECLINE_HARD), disputed(), Problem.NOT_CAPTURED),
        (ended(capture_method=CaptureMethod.MANUAL), disputed(), Problem.NOT_CAPTURED),
        (ended(direction=Direction.PAYOUT), disputed(), Problem.NOT_CAPTURED),
    ],
)
def test_a_dispute_of_what_we_do_not_hold_so_holds_nothing_and_is_listed(payment, word, problem):
    heard = hear(payment, word, AT)

    assert 0 == heard.payment.amounts.disputed
    assert problem is problem_of(heard.payment, heard.payment.disputes[0])
    assert (Attention.DISPUTE_MISPLACED,) == attention(heard.payment)
    assert problem in heard.incident


def test_a_dispute_that_came_before_the_answer_holds_once_the_money_was_taken():
    doubtful = after(disputed(), payment=ended(E.LOSE_TRACK))

    taken = answer(doubtful, 1, Outcome(E.SUCCEED), at=AT, may_go_on=False)[0]

    assert (0, 10_000) == (doubtful.amounts.disputed, taken.amounts.disputed)
    assert () == attention(taken)


def test_a_dispute_has_room_for_its_stages_and_no_more():
    payment = after(*(disputed(after_s=place) for place in range(NEWS_MAX)))

    heard = hear(payment, disputed(after_s=NEWS_MAX, state="lost"), AT)

    assert ("OUTCOME_KEPT_AS_EVIDENCE", "too much") == (heard.step.action, heard.incident[:8])
    assert payment.disputes == heard.payment.disputes


def test_evidence_is_overdue_by_the_clock_alone():
    (dispute,) = after(disputed(due=AT)).disputes
    (answered,) = after(disputed(due=AT), disputed(state="challenged", after_s=1)).disputes

    assert (False, True) == (dispute.is_overdue(AT), dispute.is_overdue(AT.replace(year=2027)))
    assert not answered.is_overdue(AT.replace(year=2027))


def test_a_cancellations_refund_that_the_bank_sent_back_waits_for_a_person():
    """The payment is SUCCEEDED again although its customer was promised the money."""
    payment = a_payment()
    command = CancelPayment(
        merchant=payment.merchant, key="c" * 16, payment=payment.name, reason=""
    )
    wished, _, _ = plan(payment, command, AT)
    taken, _ = answer(wished, 1, Outcome(E.SUCCEED), at=AT, may_go_on=False)
    (refund,) = (o for o in taken.operations if o.kind is OperationKind.REFUND)
    canceled, _ = answer(taken, refund.number, Outcome(E.SUCCEED), at=AT, may_go_on=False)

    bounce = Later(News.TAKEN_BACK, refund.number, Outcome(E.LOSE_TRACK), reversal_reference="r")
    bounced = hear(canceled, bounce, AT).payment
    given_back = refunded(bounced, 10_000)

    assert (PaymentState.CANCELED, ()) == (canceled.state, attention(canceled))
    assert PaymentState.SUCCEEDED is bounced.state
    assert (Attention.REFUND_BOUNCED,) == attention(bounced)
    assert (PaymentState.CANCELED, ()) == (given_back.state, attention(given_back))


def test_a_word_without_a_deadline_takes_none_away_and_a_new_stage_has_its_own():
    due = AT.replace(month=9)
    (told,) = after(disputed(due=due), disputed(reference="dp_1", moves=1, after_s=1)).disputes
    (second,) = after(disputed(due=due), disputed(stage="arbitration", after_s=1)).disputes

    assert (due, None) == (told.due, second.due)
