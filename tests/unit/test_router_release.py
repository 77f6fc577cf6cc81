"""A cancellation that was asked for while something was in flight: nothing of it is forgotten."""

from cashier_common.money import Money
from cashier_router.domain.commands import CancelPayment, CapturePayment
from cashier_router.domain.follow_up import plan
from cashier_router.domain.lifecycle import (
    OperationEvent,
    OperationKind,
    OperationState,
    PaymentState,
)
from cashier_router.domain.payment import CaptureMethod
from cashier_router.domain.progress import Outcome, answer
from tests.support.router_values import AT, a_payment

E, K, S = OperationEvent, OperationKind, OperationState


def answered(payment, number, event):
    return answer(payment, number, Outcome(event), at=AT, may_go_on=False)[0]


def authorized():
    return answered(a_payment(capture_method=CaptureMethod.MANUAL), 1, E.SUCCEED)


def captured(payment, minor):
    command = CapturePayment(
        merchant=payment.merchant, key="c" * 16, payment=payment.name,
        amount=Money(minor, "USD"), final=False,
    )  # fmt: skip
    return plan(payment, command, AT)[0]


def canceled(payment):
    command = CancelPayment(
        merchant=payment.merchant, key="x" * 16, payment=payment.name, reason=""
    )
    return plan(payment, command, AT)[0]


def opened(payment, before):
    return [(o.kind, o.amount.minor) for o in payment.operations[len(before.operations) :]]


def test_a_capture_that_fails_after_the_wish_lets_the_whole_hold_go():
    wished = canceled(captured(authorized(), 4_000))

    failed = answered(answered(wished, 2, E.LOSE_TRACK), 2, E.PROVE_ABSENT)

    assert [(K.VOID, 10_000)] == opened(failed, wished)
    assert PaymentState.CANCELED is answered(failed, 3, E.SUCCEED).state


def test_a_capture_that_succeeds_after_the_wish_is_given_back_and_the_rest_let_go():
    wished = canceled(captured(authorized(), 4_000))

    taken = answered(wished, 2, E.SUCCEED)
    done = answered(answered(taken, 3, E.SUCCEED), 4, E.SUCCEED)

    assert [(K.REFUND, 4_000), (K.VOID, 6_000)] == opened(taken, wished)
    assert PaymentState.CANCELED is done.state
    assert (4_000, 4_000, 6_000) == (
        done.amounts.captured, done.amounts.refunded, done.amounts.voided,
    )  # fmt: skip


def test_what_was_captured_before_the_wish_stays_captured():
    earlier = answered(captured(authorized(), 1_000), 2, E.SUCCEED)
    wished = canceled(captured(earlier, 4_000))

    taken = answered(wished, 3, E.SUCCEED)
    done = answered(answered(taken, 4, E.SUCCEED), 5, E.SUCCEED)

    assert [(K.REFUND, 4_000), (K.VOID, 5_000)] == opened(taken, wished)
    assert PaymentState.SUCCEEDED is done.state
    assert (5_000, 4_000) == (done.amounts.captured, done.amounts.refunded)


def test_each_of_two_captures_in_flight_is_undone_by_itself():
    wished = canceled(captured(captured(authorized(), 4_000), 6_000))

    first = answered(wished, 2, E.SUCCEED)
    second = answered(first, 3, E.DECLINE_HARD)

    assert [(K.REFUND, 4_000)] == opened(first, wished)
    assert [(K.VOID, 6_000)] == opened(second, first)


def test_a_decline_after_the_wish_is_a_cancellation_and_opens_nothing():
    wished = canceled(a_payment())

    declined = answered(wished, 1, E.DECLINE_HARD)

    assert [] == opened(declined, wished)
    assert PaymentState.CANCELED is declined.state


def test_an_undoing_that_provably_did_nothing_is_tried_again_and_then_waits_for_a_person():
    payment = canceled(a_payment(capture_method=CaptureMethod.MANUAL))
    tried = answered(payment, 1, E.SUCCEED)
    for number in range(2, 5):
        assert not tried.in_doubt
        tried = answered(tried, number, E.FAIL_UNSENT)

    assert [(K.VOID, 10_000)] * 3 == opened(tried, payment)
    assert tried.in_doubt


def test_a_payment_that_succeeds_while_its_cancellation_is_under_way_is_given_back():
    """Its void lets nothing go: what was captured at once is refunded."""
    waiting = answered(a_payment(), 1, E.ASK_CUSTOMER)
    wished = answered(canceled(waiting), 2, E.LOSE_TRACK)

    paid = answered(wished, 1, E.SUCCEED)

    assert (10_000, 0) == (paid.amounts.captured, paid.amounts.capture_reserved)
    assert [(K.REFUND, 10_000)] == opened(paid, wished)


def test_a_wish_repeated_by_a_merchant_releases_what_a_refused_void_left():
    wished = canceled(authorized())
    refused = answered(wished, 2, E.DECLINE_SOFT)

    again = canceled(refused)

    assert PaymentState.AUTHORIZED is refused.state
    assert [(K.VOID, 10_000)] == opened(again, refused)
    assert S.SUBMITTING is again.operation(3).state
