"""How a payment moves: risk's word, a rail's answer, the gate to the next rail."""

import pytest

from cashier_common.errors import TransitionRefused
from cashier_common.money import Money
from cashier_router.domain.lifecycle import OperationEvent as E
from cashier_router.domain.lifecycle import OperationState as S
from cashier_router.domain.lifecycle import PaymentState
from cashier_router.domain.progress import ATTEMPTS_MAX, Outcome, RiskDecision, answer, begin
from tests.support.router_values import AT, USD_100, a_command, a_payment, a_plan, an_assessment


def answered(payment, event, *, number=1, may_go_on=True, **facts):
    return answer(payment, number, Outcome(event, **facts), at=AT, may_go_on=may_go_on)[0]


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (RiskDecision.DECLINE, PaymentState.REJECTED),
        (RiskDecision.REVIEW, PaymentState.IN_REVIEW),
        (RiskDecision.STEP_UP, PaymentState.IN_REVIEW),
    ],
)
def test_what_risk_does_not_wave_through_has_no_operation(decision, state):
    payment, _ = begin(a_command(), an_assessment(decision), None, actor_trace="", at=AT)

    assert state is payment.state
    assert () == payment.operations


def test_a_payment_that_no_account_may_take_fails_without_an_operation():
    payment, _ = begin(a_command(), an_assessment(), a_plan(), actor_trace="", at=AT)

    assert PaymentState.FAILED is payment.state
    assert payment.failure is not None
    assert "NO_ELIGIBLE_ACCOUNT" == payment.failure.meaning


def test_a_promised_payment_is_processing_and_a_captured_one_succeeded():
    promised = a_payment()

    done = answered(promised, E.SUCCEED, amount=USD_100, account="sandbox-us")

    assert PaymentState.PROCESSING is promised.state
    assert PaymentState.SUCCEEDED is done.state
    assert (10_000, 10_000) == (done.amounts.authorized, done.amounts.captured)


@pytest.mark.parametrize("event", [E.DECLINE_SOFT, E.FAIL_UNSENT])
def test_the_next_rail_opens_after_a_no_that_is_only_this_rails(event):
    moved = answered(a_payment("a", "b"), event)

    assert ["a", "b"] == [operation.account for operation in moved.operations]
    assert S.SUBMITTING is moved.operations[1].state
    assert PaymentState.PROCESSING is moved.state


@pytest.mark.parametrize(
    "event", [E.SUCCEED, E.DECLINE_HARD, E.ACCEPT, E.ASK_CUSTOMER, E.LOSE_TRACK, E.CONTRADICT]
)
def test_no_second_rail_opens_after_anything_else(event):
    moved = answered(a_payment("a", "b"), event)

    assert 1 == len(moved.operations)


def test_a_doubt_that_is_proven_absent_opens_the_next_rail():
    doubtful = answered(a_payment("a", "b"), E.LOSE_TRACK)

    moved = answered(doubtful, E.PROVE_ABSENT)

    assert doubtful.in_doubt
    assert S.NOT_FOUND is moved.operations[0].state
    assert "b" == moved.operations[1].account


def test_no_rail_opens_when_the_customer_is_gone():
    moved = answered(a_payment("a", "b"), E.DECLINE_SOFT, may_go_on=False)

    assert PaymentState.FAILED is moved.state
    assert 1 == len(moved.operations)


def test_the_budget_of_attempts_ends_the_failover():
    payment = a_payment("a", "b", "c", "d")

    for number in range(1, ATTEMPTS_MAX + 1):
        payment = answered(payment, E.DECLINE_SOFT, number=number)

    assert ATTEMPTS_MAX == len(payment.operations)
    assert PaymentState.FAILED is payment.state


@pytest.mark.parametrize(
    "facts",
    [
        {"amount": Money(9_999, "USD")},
        {"amount": Money(10_000, "EUR")},
        {"account": "another-account"},
    ],
    ids=["amount", "asset", "account"],
)
def test_a_success_about_something_else_is_a_conflict_and_never_a_success(facts):
    moved = answered(a_payment("a", "b"), E.SUCCEED, **facts)

    assert S.CONFLICTED is moved.operations[0].state
    assert PaymentState.PROCESSING is moved.state
    assert moved.in_doubt
    assert 0 == moved.amounts.captured


def test_a_success_cannot_be_taken_back_by_a_later_answer():
    done = answered(a_payment(), E.SUCCEED)

    with pytest.raises(TransitionRefused):
        answered(done, E.DECLINE_HARD)


def test_each_answer_is_one_version():
    promised = a_payment("a", "b")

    moved = answered(promised, E.DECLINE_SOFT)

    assert promised.version + 1 == moved.version
    assert promised.etag != moved.etag
