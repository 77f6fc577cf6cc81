"""The authentication's table against the reference, state by state, and its timers."""

from datetime import timedelta

import pytest

from cashier_router.domain.authentication.advance import advance, owed
from cashier_router.domain.authentication.attempt import (
    Completion,
    EvidenceKind,
    Flow,
    transaction_id,
)
from cashier_router.domain.authentication.events import (
    Answered,
    Closed,
    Effect,
    MethodFinished,
    NoAnswer,
    RangeFound,
    RangeMissing,
    Returned,
    Started,
    StillOpen,
    Ticked,
    Told,
    Withdrawn,
)
from cashier_router.domain.authentication.lifecycle import (
    AUTHENTICATION,
    AWAITING,
    FAILURES,
    LIVE,
    AuthenticationState,
)
from cashier_router.domain.authentication.policy import Treatment
from cashier_router.domain.authentication.result import Source
from tests.support.authentications import (
    NAME,
    a_choice,
    a_result,
    after_s,
    an_attempt,
    asked,
    challenged,
    ended,
    run,
)

S = AuthenticationState
FIRST, SECOND = transaction_id(NAME, 1), transaction_id(NAME, 2)
NATIVE = {"flow": Flow.NATIVE}


def answer(status, **changes):
    return Answered(a_result(status, source=Source.ANSWER, **changes))


def test_the_table_has_the_states_of_the_reference():
    terminal = {
        S.AUTHENTICATED, S.ATTEMPTED, S.INFORMATIONAL, S.EXEMPT, S.SKIPPED, S.FAILED, S.REJECTED,
        S.UNAVAILABLE, S.ABANDONED, S.EXPIRED,
    }  # fmt: skip
    live = {
        S.CREATED, S.VERSIONING, S.METHOD, S.AREQ, S.CHALLENGE, S.DECOUPLED, S.RESOLVING,
    }  # fmt: skip

    assert terminal == AUTHENTICATION.terminal
    assert live == LIVE
    assert AWAITING < live
    assert FAILURES < terminal


@pytest.mark.parametrize(
    ("treatment", "state", "effects"),
    [
        (Treatment.SKIP, S.SKIPPED, (Effect.CONCLUDE,)),
        (Treatment.EXEMPT, S.EXEMPT, (Effect.CONCLUDE,)),
        (Treatment.AUTHENTICATE, S.VERSIONING, (Effect.PRE_AUTHENTICATE,)),
    ],
)
def test_the_choice_is_carried_out(treatment, state, effects):
    begun = advance(an_attempt(choice=a_choice(treatment=treatment)), Started(), after_s(0))

    assert (state, effects) == (begun.attempt.state, begun.effects)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (RangeFound(FIRST, "2.2.0", has_method=True), S.METHOD),
        (RangeFound(FIRST, "2.2.0", has_method=False), S.AREQ),
        (RangeMissing(FIRST), S.UNAVAILABLE),
        (NoAnswer(FIRST, "no connection"), S.VERSIONING),
    ],
)
def test_what_the_range_answers(event, state):
    assert state is run(an_attempt(), Started(), event).state


def test_a_range_that_never_answers_is_asked_twice_in_five_seconds_each():
    first = run(an_attempt(), Started(), (Ticked(), 4))
    second = run(first, (Ticked(), 5))
    given_up = run(second, (Ticked(), 10))

    assert [FIRST, SECOND] == [first.transaction, second.transaction]
    assert [S.VERSIONING, S.VERSIONING, S.UNAVAILABLE] == [
        attempt.state for attempt in (first, second, given_up)
    ]


@pytest.mark.parametrize(
    ("happening", "completion"),
    [
        ((MethodFinished(FIRST), 9), Completion.DONE),
        ((Ticked(), 10), Completion.NOT_DONE),
        # Time comes first, whether or not a worker's timer did.
        ((MethodFinished(FIRST), 10), Completion.NOT_DONE),
    ],
)
def test_the_method_is_done_or_its_time_is_up(happening, completion):
    found = RangeFound(FIRST, "2.2.0", has_method=True)

    attempt = run(an_attempt(), Started(), found, happening)

    assert (S.AREQ, completion) == (attempt.state, attempt.completion)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Y", S.AUTHENTICATED),
        ("A", S.ATTEMPTED),
        ("C", S.CHALLENGE),
        ("I", S.INFORMATIONAL),
        ("N", S.FAILED),
        ("R", S.REJECTED),
        ("U", S.AREQ),
        ("D", S.AREQ),  # nobody asked for a decoupled challenge: as if it could not be performed
    ],
)
def test_what_the_issuer_answers_first(status, state):
    assert state is run(asked(), answer(status)).state


def test_a_decoupled_challenge_that_was_asked_for_waits_as_long_as_we_said():
    attempt = run(asked(an_attempt(choice=a_choice(decoupled_max_minutes=60))), answer("D"))

    assert (S.DECOUPLED, after_s(3_600)) == (attempt.state, attempt.deadline)
    assert (Effect.WAIT,) == owed(attempt)


@pytest.mark.parametrize(
    "miss", [answer("U"), NoAnswer(FIRST, "Erro"), (Ticked(), 10)], ids=["U", "Erro", "time-out"]
)
def test_an_issuer_that_could_not_answer_is_asked_once_more_as_a_new_transaction(miss):
    again = run(asked(), miss)
    seconds = miss[1] if isinstance(miss, tuple) else 0
    given_up = run(again, (NoAnswer(SECOND, "Erro"), seconds))
    late = run(again, (answer("Y", tries=1), seconds))

    assert (S.AREQ, SECOND) == (again.state, again.transaction)
    assert S.UNAVAILABLE is given_up.state
    assert (S.AREQ, [EvidenceKind.SUPERSEDED_RESULT]) == (
        late.state, [kept.kind for kept in late.evidence],
    )  # fmt: skip


def test_a_challenge_ends_by_the_clock_only_after_its_result_was_looked_for():
    waiting = challenged()
    resolving = advance(waiting, Ticked(), after_s(900))
    unreachable = run(resolving.attempt, (NoAnswer(FIRST, "away"), 905))
    expired = run(unreachable, (Ticked(), 930))

    assert after_s(900) == waiting.deadline
    assert (S.RESOLVING, (Effect.FETCH_RESULT,)) == (resolving.attempt.state, resolving.effects)
    assert (S.RESOLVING, after_s(930)) == (unreachable.state, unreachable.deadline)
    assert [after_s(900), after_s(907)] == [resolving.attempt.wake_at, unreachable.wake_at]
    assert S.EXPIRED is expired.state
    assert S.EXPIRED is run(resolving.attempt, (StillOpen(FIRST), 905)).state


def test_a_browser_that_returns_makes_us_fetch_and_nothing_else():
    waiting = challenged()
    back = advance(waiting, Returned(), after_s(5))
    again = advance(back.attempt, Returned(), after_s(5))
    fetched = run(back.attempt, (StillOpen(FIRST), 6))
    reloaded = run(fetched, (Returned(), 6))

    assert (S.CHALLENGE, waiting.deadline) == (back.attempt.state, back.attempt.deadline)
    assert Effect.FETCH_RESULT in back.effects
    assert Effect.FETCH_RESULT in owed(back.attempt)  # a crash does not lose it
    assert again.attempt is back.attempt
    assert after_s(5) == back.attempt.wake_at
    assert None is fetched.fetch_at
    assert fetched.fetched_at + timedelta(seconds=2) == reloaded.fetch_at


def test_a_canceled_payment_ends_its_attempt():
    assert S.ABANDONED is run(challenged(), Withdrawn("canceled by the merchant")).state


def test_a_processor_that_authenticates_is_canceled_there_before_anything_is_over():
    waiting = challenged_natively()
    resolving = advance(waiting, Ticked(), after_s(900))
    unconfirmed = advance(resolving.attempt, Ticked(), after_s(5_000))
    over = run(unconfirmed.attempt, (Closed(FIRST), 5_001))
    paid = run(unconfirmed.attempt, (Told(a_result("Y", source=Source.PROCESSOR)), 5_001))

    assert (Effect.CANCEL_AT_PROCESSOR,) == resolving.effects
    assert (S.RESOLVING, (Effect.CANCEL_AT_PROCESSOR,)) == (
        unconfirmed.attempt.state, unconfirmed.effects,
    )  # fmt: skip
    assert (S.EXPIRED, S.AUTHENTICATED) == (over.state, paid.state)
    assert S.RESOLVING is run(waiting, (Withdrawn("canceled"), 1)).state


def challenged_natively():
    asked_there = run(an_attempt(**NATIVE), Started())
    assert (Effect.ASK_PROCESSOR,) == owed(asked_there)
    return run(asked_there, Answered(a_result("C", source=Source.PROCESSOR)))


def test_a_processor_that_is_slow_is_asked_and_never_timed_out():
    slow = run(an_attempt(**NATIVE), Started(), (Ticked(), 10_000))

    assert (S.AREQ, 1, (Effect.ASK_PROCESSOR,)) == (slow.state, slow.tries, owed(slow))


def test_every_end_is_recorded_with_the_same_fields():
    skipped, exempt = (
        run(an_attempt(choice=a_choice(treatment=treatment)), Started())
        for treatment in (Treatment.SKIP, Treatment.EXEMPT)
    )
    frictionless = run(asked(), answer("Y"))

    records = [attempt.record() for attempt in (skipped, exempt, frictionless, ended())]

    assert 1 == len({tuple(record) for record in records})
    assert ["false", "true"] == [record["challenged"] for record in records[2:]]
    assert not any("secrets/" in value for record in records for value in record.values())
