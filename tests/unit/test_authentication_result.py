"""What results do to an authentication: applied once, or kept as evidence and told."""

import pytest

from cashier_router.domain.authentication.advance import advance
from cashier_router.domain.authentication.attempt import (
    EvidenceKind,
    transaction_id,
)
from cashier_router.domain.authentication.events import (
    Answered,
    Effect,
    NoAnswer,
    RangeFound,
    Started,
    Ticked,
    Told,
)
from cashier_router.domain.authentication.lifecycle import (
    AuthenticationState,
)
from cashier_router.domain.authentication.result import Cancel, Cryptogram, Source
from tests.support.authentications import (
    NAME,
    a_choice,
    a_result,
    after_s,
    an_attempt,
    asked,
    challenged,
    ended,
    out_of_time,
    run,
)

S = AuthenticationState
FIRST = transaction_id(NAME, 1)


def answer(status, **changes):
    return Answered(a_result(status, source=Source.ANSWER, **changes))


def test_a_first_answer_that_contradicts_itself_is_not_believed():
    attempt = run(asked(), answer("Y", cancel=Cancel.CARDHOLDER))

    assert (S.AREQ, [EvidenceKind.UNEXPECTED_RESULT]) == (
        attempt.state, [kept.kind for kept in attempt.evidence],
    )  # fmt: skip


def test_a_3ds_server_may_name_its_transactions_itself():
    found = RangeFound(FIRST, "2.2.0", has_method=False, server_transaction="srv-1")
    waiting = run(an_attempt(), Started(), found)

    other = run(waiting, Told(a_result("Y", server_transaction="srv-2")))
    ours = run(waiting, Told(a_result("Y", server_transaction="srv-1")))

    assert [S.AREQ, S.AUTHENTICATED] == [other.state, ours.state]
    assert "srv-1" == ours.record()["server_transaction"]
    assert not run(waiting, NoAnswer(FIRST, "Erro")).server_transaction


@pytest.mark.parametrize(
    ("status", "cancel", "state"),
    [
        ("Y", None, S.AUTHENTICATED),
        ("A", None, S.ATTEMPTED),
        ("N", None, S.FAILED),
        ("N", Cancel.CARDHOLDER, S.ABANDONED),
        ("N", Cancel.REQUESTOR, S.FAILED),
        ("N", Cancel.DECOUPLED_TIMED_OUT, S.EXPIRED),
        ("N", Cancel.ACS_TIMED_OUT, S.EXPIRED),
        ("N", Cancel.NEVER_BEGUN, S.EXPIRED),
        ("N", Cancel.ERROR, S.FAILED),
        ("N", Cancel.UNKNOWN, S.FAILED),
        ("N", Cancel.SDK_TIMED_OUT, S.EXPIRED),
        ("R", None, S.REJECTED),
        ("U", None, S.UNAVAILABLE),
        ("U", Cancel.CARDHOLDER, S.ABANDONED),
        ("U", Cancel.ERROR, S.UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("where", ["challenge", "decoupled", "resolving", "before the answer"])
def test_how_a_final_result_ends_it(where, status, cancel, state):
    attempt = {
        "challenge": challenged,
        "decoupled": lambda: run(
            asked(an_attempt(choice=a_choice(decoupled_max_minutes=60))), answer("D")
        ),
        "resolving": lambda: run(challenged(), (Ticked(), 900)),
        "before the answer": asked,
    }[where]()
    at_s = 901 if where == "resolving" else 1

    assert state is run(attempt, (Told(a_result(status, cancel=cancel)), at_s)).state


@pytest.mark.parametrize(
    "result",
    [
        a_result("C"),
        a_result("D"),
        a_result("I"),
        a_result("Y", cancel=Cancel.CARDHOLDER),
        a_result("Y", transaction="somebody else's"),
        a_result("Y", acs_transaction="another"),
    ],
    ids=["C", "D", "I", "proof beside a cancel", "foreign", "another challenge"],
)
def test_what_is_no_final_result_of_this_challenge_is_kept_and_opens_a_case(result):
    attempt = run(
        asked(),
        Answered(a_result("C", source=Source.ANSWER, acs_transaction="acs-1")),
    )

    told = advance(attempt, Told(result), after_s(1))

    assert (S.CHALLENGE, 1) == (told.attempt.state, len(told.attempt.evidence))
    assert {Effect.ALERT, Effect.OPEN_CASE} < set(told.effects)


def test_a_late_result_is_evidence_and_alarm_and_nothing_more():
    expired = out_of_time()

    late = advance(expired, Told(a_result("Y")), after_s(1_000))
    again = advance(late.attempt, Told(a_result("Y", source=Source.FETCH)), after_s(1_001))

    assert (S.EXPIRED, (Effect.ALERT,)) == (late.attempt.state, late.effects)
    assert ["LATE_RESULT"] == [step.action for step in late.steps]
    assert None is late.attempt.result
    assert (late.attempt, ()) == (again.attempt, again.effects)


@pytest.mark.parametrize(
    "other",
    [
        a_result("N"),
        a_result("Y", eci="07"),
        a_result("Y", cryptogram=Cryptogram("secrets/2", "d2")),
    ],
    ids=["other status", "other ECI", "other cryptogram"],
)
def test_a_conflicting_result_opens_a_case_and_changes_no_state(other):
    told = advance(ended(), Told(other), after_s(2))

    assert (S.AUTHENTICATED, True) == (told.attempt.state, told.attempt.contested)
    assert {Effect.ALERT, Effect.OPEN_CASE} == set(told.effects)
    assert ["CONFLICTING_RESULT"] == [step.action for step in told.steps]


def test_the_same_result_from_another_server_is_no_conflict():
    done = ended()

    assert done is advance(done, Told(a_result("Y", source=Source.FETCH)), after_s(9)).attempt


def test_an_answer_behind_its_result_says_nothing_new():
    done = run(asked(), Told(a_result("Y")))

    assert done is run(done, answer("C"))
