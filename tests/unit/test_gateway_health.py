"""Which answers are held against a processor, and which calls its breaker may stop."""

from dataclasses import replace

import pytest

from cashier_common.health.tally import Result
from cashier_common.health.ward import Stop
from cashier_gateway.clients.failures import failure_answer
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.declines import MEANINGS
from cashier_gateway.domain.health import (
    FAULT_MEANINGS,
    may_stop,
    parts_of,
    refusal,
    result_of,
    segment_of,
)
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer, Decline
from tests.support.gateway_rig import a_command, a_follow_up, a_payout
from tests.support.router_values import AT


def a_call(command=None, **changes) -> Call:
    return replace(Call.submitted(command or a_command(), b"f", traceparent="", at=AT), **changes)


def said(event: Event, meaning: str = "", **more) -> Answer:
    decline = Decline("code", "", meaning, "SOFT") if meaning else None
    return Answer(event, "said", decline=decline, **more)


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (said(Event.SUCCEED), Result.SUCCESS),
        (said(Event.PEND), Result.SUCCESS),
        (said(Event.REQUIRE_ACTION), Result.SUCCESS),
        (said(Event.DECLINE_SOFT, "ISSUER_UNAVAILABLE"), Result.SOFT_NO),
        (said(Event.DECLINE_SOFT, "PROCESSOR_UNAVAILABLE"), Result.FAILED),
        (said(Event.DECLINE_SOFT, "RATE_LIMITED"), Result.FAILED),
        (said(Event.DECLINE_SOFT, "ACCOUNT_REFUSED"), Result.FAILED),
        (said(Event.DECLINE_HARD, "INSUFFICIENT_FUNDS"), Result.HARD_NO),
        (said(Event.LOSE_TRACK), Result.FAILED),
        (failure_answer("it", TimeoutError()), Result.TIMED_OUT),
        (failure_answer("it", ConnectionResetError()), Result.FAILED),
        (said(Event.FAIL_UNSENT), Result.FAILED),
        (said(Event.CONFLICT), None),
        (said(Event.CLOSE), None),
    ],
)
def test_what_an_answer_to_something_new_counts_as(answer, result):
    assert result is result_of(a_call(), answer)
    assert result is result_of(a_call(a_payout()), answer)


def test_doubts_about_the_state_of_what_a_refund_acts_on_are_no_faults():
    refund = a_call(a_follow_up(Kind.REFUND, a_command()))

    assert result_of(refund, said(Event.LOSE_TRACK)) is None
    assert Result.TIMED_OUT is result_of(refund, failure_answer("it", TimeoutError()))


def test_only_meanings_about_the_processor_are_faults():
    assert {"processor"} == {MEANINGS[meaning] for meaning in FAULT_MEANINGS}


def test_only_the_first_try_of_something_new_may_be_stopped():
    """Everything else is about money in flight, which no other account can finish."""
    assert may_stop(a_call())
    assert may_stop(a_call(a_payout()))
    assert not may_stop(a_call(lease_epoch=2))
    assert not any(
        may_stop(a_call(a_follow_up(kind, a_command())))
        for kind in (Kind.CAPTURE, Kind.VOID, Kind.REFUND)
    )


def test_a_segment_is_method_asset_and_region():
    command = a_command()
    told = replace(command, request=replace(command.request, customer_country="DE"))

    assert "CARD/EUR/EU" == segment_of(a_call(told))
    assert ("CARD", "EUR", "EU") == parts_of("CARD/EUR/EU")
    assert ("", "", "") == parts_of("")


def test_each_stop_is_a_sentence_with_its_name():
    assert all(f"({stop})" in refusal("one", stop) for stop in Stop)
