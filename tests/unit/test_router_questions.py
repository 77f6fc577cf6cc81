"""When the janitor asks, and what a rail's word proves."""

import pytest

from cashier_router.domain.instrument import Method
from cashier_router.domain.lifecycle import OPERATION, OperationEvent, OperationState
from cashier_router.domain.questions import PENDING, QuestionPlan, Schedule, evidence

S, E = OperationState, OperationEvent
PLAN = QuestionPlan(doubt=Schedule((5, 30, 120)))
HOUR_S = 3_600


def test_a_doubt_is_asked_about_on_its_schedule_and_then_no_more():
    assert [5, 30, 120, None] == [PLAN.pause_s(S.IN_DOUBT, Method.CARD, n) for n in range(4)]


def test_a_doubt_that_the_rail_calls_pending_is_asked_about_as_long_as_its_method_takes():
    asked = 20

    assert PLAN.pause_s(S.IN_DOUBT, Method.SEPA, 10) is None
    assert PLAN.pause_after_pending_s(Method.SEPA, 10) == 24 * HOUR_S
    assert PLAN.pause_after_pending_s(Method.SEPA, asked) is None


@pytest.mark.parametrize("method", Method)
def test_every_method_has_a_last_day_and_it_is_not_at_once(method):
    pauses = [PENDING[method].pause_s(asked) for asked in range(1_000)]

    asked = [pause for pause in pauses if pause is not None]
    assert asked == pauses[: len(asked)]
    assert HOUR_S < sum(asked) < 30 * 24 * HOUR_S


@pytest.mark.parametrize("state", [S.SUCCEEDED, S.DECLINED_HARD, S.NOT_FOUND, S.MANUAL_REVIEW])
def test_nobody_is_asked_about_what_has_an_answer_or_needs_a_person(state):
    assert PLAN.pause_s(state, Method.CARD, 0) is None


@pytest.mark.parametrize("told", [E.FAIL_UNSENT, E.EXPIRE, E.PROVE_ABSENT])
def test_what_a_rail_has_closed_is_absent_for_a_doubt(told):
    assert E.PROVE_ABSENT is evidence(S.IN_DOUBT, told)


@pytest.mark.parametrize("told", [E.FAIL_UNSENT, E.EXPIRE, E.PROVE_ABSENT])
def test_what_was_pending_and_is_gone_is_looked_at_again(told):
    assert S.IN_DOUBT is OPERATION.next(S.PENDING, evidence(S.PENDING, told))


@pytest.mark.parametrize("event", OperationEvent)
def test_no_word_of_a_rail_frees_a_doubt_but_evidence(event):
    known = evidence(S.IN_DOUBT, event)

    if OPERATION.accepts(S.IN_DOUBT, known):
        assert known in {
            E.SUCCEED, E.DECLINE_HARD, E.DECLINE_SOFT, E.PROVE_ABSENT, E.ESCALATE, E.CONTRADICT,
        }  # fmt: skip
