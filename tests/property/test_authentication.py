"""Authentications whatever happens, in whatever order, how often, and wherever a process dies."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_router.domain.authentication.advance import advance, owed
from cashier_router.domain.authentication.attempt import Attempt, Flow, transaction_id
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
from cashier_router.domain.authentication.invariants import (
    broken,
)
from cashier_router.domain.authentication.liability import Network, Party
from cashier_router.domain.authentication.lifecycle import AUTHENTICATION, AuthenticationState
from cashier_router.domain.authentication.policy import Band, Treatment
from cashier_router.domain.authentication.result import Cancel, Cryptogram, Source, Status
from cashier_router.domain.authentication.stored import from_text, to_text
from tests.support.authentications import (
    AT,
    NAME,
    a_choice,
    a_result,
    an_attempt,
    asked,
    challenged,
    out_of_time,
    run,
)

S = AuthenticationState
# The ordinary run looks at a few histories of each; the long one at thousands of the first.
few = settings(max_examples=40, deadline=None)
# One of each meaning; the long run has them all.
MEANINGS = (None, Cancel.CARDHOLDER, Cancel.ACS_TIMED_OUT, Cancel.ERROR)
PROVING = frozenset({S.AUTHENTICATED, S.ATTEMPTED, S.INFORMATIONAL})
SECONDS = st.sampled_from([0, 0, 1, 5, 10, 29, 30, 60, 900, 4_000])
RESULTS = st.builds(
    a_result,
    st.sampled_from(Status),
    source=st.sampled_from(Source),
    tries=st.sampled_from([1, 1, 1, 2, 3]),
    cancel=st.sampled_from([None, None, *Cancel]),
    eci=st.sampled_from(["05", "06", "02", "01", "07", ""]),
    cryptogram=st.sampled_from([None, Cryptogram("a", "1"), Cryptogram("b", "2")]),
    acs_transaction=st.sampled_from(["", "acs-1", "acs-2"]),
    exemption_granted=st.booleans(),
)
TRANSACTIONS = st.sampled_from([transaction_id(NAME, tried) for tried in (1, 1, 2, 3)])
SERVERS = st.one_of(
    RESULTS.map(Told),
    RESULTS.map(Told),
    RESULTS.map(Answered),
    st.builds(RangeFound, TRANSACTIONS, st.just("2.2.0"), st.booleans()),
    TRANSACTIONS.map(RangeMissing),
    st.builds(NoAnswer, TRANSACTIONS, st.just("away")),
    TRANSACTIONS.map(StillOpen),
    TRANSACTIONS.map(Closed),
)
BROWSERS = st.one_of(
    st.just(Returned()), TRANSACTIONS.map(MethodFinished), st.just(Ticked()),
    st.just(Withdrawn("left")),
)  # fmt: skip
EVENTS = st.one_of(SERVERS, SERVERS, BROWSERS)
HISTORIES = st.lists(st.tuples(EVENTS, SECONDS), max_size=12)
CHOICES = st.builds(
    a_choice,
    treatment=st.sampled_from([Treatment.AUTHENTICATE] * 4 + [Treatment.SKIP, Treatment.EXEMPT]),
    decoupled_max_minutes=st.sampled_from([0, 1]),
    in_scope=st.booleans(),
    band=st.sampled_from(Band),
)
# Where an attempt stands when the history begins, so that few events are wasted on getting there.
BEGINNINGS = st.builds(
    lambda make, choice, flow, network: make(an_attempt(choice=choice, flow=flow, network=network)),
    st.sampled_from([lambda fresh: fresh, lambda fresh: run(fresh, Started()), asked, challenged]),
    CHOICES,
    st.sampled_from([Flow.STANDALONE, Flow.STANDALONE, Flow.NATIVE]),
    st.sampled_from([Network.VISA, Network.MASTERCARD, None]),
)


def told(attempt: Attempt, history):
    """Each change of the history: before, event and time, and what came of it."""
    now = AT
    for event, pause_s in history:
        now += timedelta(seconds=pause_s)
        advanced = advance(attempt, event, now)
        yield attempt, event, now, advanced
        attempt = advanced.attempt


@few
@given(BEGINNINGS, HISTORIES)
def test_no_history_breaks_an_invariant(attempt, history):
    for before, event, now, _ in told(attempt, history):
        assert [] == broken(before, event, now)


@pytest.mark.long
@settings(max_examples=2_000, deadline=None)
@given(BEGINNINGS, HISTORIES)
def test_no_history_of_thousands_breaks_an_invariant(attempt, history):
    for before, event, now, _ in told(attempt, history):
        assert [] == broken(before, event, now)


@few
@given(BEGINNINGS, HISTORIES)
def test_every_change_is_a_row_of_the_table_with_its_step(attempt, history):
    arrows = {(state, target) for (state, _), target in AUTHENTICATION.transitions.items()}
    for before, _, _, advanced in told(attempt, history):
        walked = [before.state, *(step.after for step in advanced.steps)]
        for state, after in itertools.pairwise(walked):
            assert (state, after) in arrows or state is after
        assert walked[-1] is advanced.attempt.state
        assert (before.state is advanced.attempt.state) or advanced.steps


@few
@given(BEGINNINGS, HISTORIES)
def test_hearing_everything_twice_is_hearing_it_once(attempt, history):
    twice = [double for event, pause_s in history for double in ((event, pause_s), (event, 0))]
    once = [advanced.attempt for *_, advanced in told(attempt, history)]
    doubled = [advanced for *_, advanced in told(attempt, twice)]

    assert once == [advanced.attempt for advanced in doubled[1::2]]
    assert not any(advanced.steps or advanced.effects for advanced in doubled[1::2])


@few
@given(BEGINNINGS, HISTORIES)
def test_it_does_not_matter_whether_the_timer_or_the_event_came_first(attempt, history):
    for before, event, now, advanced in told(attempt, history):
        ticked = advance(before, Ticked(), now)
        after = advance(ticked.attempt, event, now)

        assert advanced.attempt == after.attempt
        assert advanced.steps == (*ticked.steps, *after.steps)


@few
@given(BEGINNINGS, HISTORIES, st.sets(st.integers(0, 11)))
def test_a_process_that_dies_anywhere_ends_as_one_that_lived(attempt, history, deaths):
    lived = attempt
    for number, (event, pause_s) in enumerate(history):
        now = lived.update_time + timedelta(seconds=pause_s)
        after = advance(lived, event, now)
        if number in deaths:
            # It died before it could store: the event comes again to who read the row.
            assert after == advance(from_text(to_text(lived)), event, now)
            # It died after it had stored: what is owed is known from the row alone.
            again = from_text(to_text(after.attempt))
            assert owed(again) == owed(after.attempt)
            assert again == advance(again, event, now).attempt
        lived = after.attempt


@few
@given(BEGINNINGS, st.lists(st.tuples(BROWSERS, SECONDS), max_size=12))
def test_a_browser_alone_proves_nothing(attempt, history):
    for *_, advanced in told(attempt, history):
        assert advanced.attempt.state not in PROVING
        assert advanced.attempt.result is None


@few
@given(st.lists(st.tuples(RESULTS, SECONDS), min_size=1, max_size=6))
def test_a_late_result_never_authorizes(results):
    expired = out_of_time()
    history = [(Told(result), pause_s + 931) for result, pause_s in results]
    for *_, advanced in told(expired, history):
        assert S.EXPIRED is advanced.attempt.state
        assert Party.MERCHANT is advanced.attempt.liability.party
        assert Effect.CONCLUDE not in advanced.effects


CODES = pytest.mark.parametrize(
    "codes", [MEANINGS, pytest.param((None, *Cancel), marks=pytest.mark.long)], ids=["some", "all"]
)


@CODES
def test_of_two_results_in_any_order_the_first_counts_and_another_one_opens_a_case(codes):
    """All statuses and cancel codes, each before and after each other."""
    finals = [a_result(status, cancel=cancel) for status in Status for cancel in codes]
    begun = challenged()
    for first in finals:
        once = advance(begun, Told(first), AT).attempt
        for second in finals:
            if once.is_live or second.repeats(first):
                continue
            after = advance(once, Told(second), AT)
            assert once.state is after.attempt.state
            assert once.result == after.attempt.result
            assert after.attempt.contested
            assert Effect.OPEN_CASE in after.effects


@CODES
def test_every_result_in_every_state_keeps_the_invariants(codes):
    """All statuses, cancel codes and sources wherever an attempt may stand."""
    decoupled = asked(an_attempt(choice=a_choice(decoupled_max_minutes=5)))
    standing = [
        an_attempt(), run(an_attempt(), Started()), asked(), challenged(), out_of_time(),
        run(decoupled, Answered(a_result("D", source=Source.ANSWER))),
        run(challenged(), (Ticked(), 900)),
        run(an_attempt(flow=Flow.NATIVE), Started()),
        run(challenged(), Told(a_result("Y"))),
    ]  # fmt: skip
    now = AT + timedelta(seconds=1)
    for attempt, status, cancel in itertools.product(standing, Status, codes):
        result = a_result(status, cancel=cancel)
        for event in (Told(result), Answered(replace(result, source=Source.ANSWER))):
            assert [] == broken(attempt, event, now)
