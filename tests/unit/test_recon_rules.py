"""The rules of the books: what each kind of operation moves, and what each line means."""

from datetime import UTC, datetime, timedelta

import pytest

from cashier_common.errors import TransitionRefused
from cashier_recon.domain.catalogue import CATALOGUE, EVENTS, Severity, due
from cashier_recon.domain.expectation import DUE_WITHOUT_TERMS, expected, follow
from cashier_recon.domain.journal import operation_journal
from cashier_recon.domain.lifecycle import (
    CLOSED,
    EXCEPTION,
    EXPECTATION,
    LINE,
    ExceptionState,
    ExpectationEvent,
    ExpectationState,
)
from cashier_recon.domain.matching import Outcome
from cashier_recon.domain.payment_fact import OperationKind, PaymentFact
from cashier_recon.domain.posting import FedEvent, plan

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)  # a Monday
K = OperationKind


def fact(kind=K.AUTHORIZE, state="SUCCEEDED", **changes):
    values = {
        "shard": 0,
        "position": 1,
        "at": AT,
        "merchant": "shop",
        "payment": "payments/pay_a",
        "operation": "payments/pay_a/operations/1",
        "kind": kind,
        "state": state,
        "rail": "gateway",
        "processor_account": "acct",
        "processor_reference": "ch_1",
        "amount": 100,
        "asset": "EUR",
        "captures": True,
        "pays_out": False,
        "fee_schedule_version": "",
        "expected_fee": None,
        "due_time": None,
        "traceparent": "",
    }
    return PaymentFact(**values | changes)


@pytest.mark.parametrize(
    ("kind", "changes", "account", "amount"),
    [
        (K.AUTHORIZE, {}, "receivable", 100),
        (K.CAPTURE, {}, "receivable", 100),
        (K.REFUND, {}, "receivable", -100),
        (K.PAYOUT, {"pays_out": True}, "receivable", -100),
        (K.REVERSAL, {}, "receivable", -100),
        (K.REVERSAL, {"pays_out": True}, "receivable", 100),
        (K.AUTHORIZE, {"rail": "crypto"}, "wallet", 100),
        (K.PAYOUT, {"rail": "crypto", "pays_out": True}, "wallet", -100),
    ],
)
def test_each_kind_of_operation_moves_its_accounts(kind, changes, account, amount):
    journal = operation_journal(fact(kind, **changes))

    assert [(account, "acct", amount), ("merchant_payable", "shop", -amount)] == [
        (entry.account, entry.owner, entry.amount) for entry in journal.entries
    ]


@pytest.mark.parametrize(
    ("kind", "state", "captures", "result", "journals"),
    [
        (K.AUTHORIZE, "SUCCEEDED", True, "OPEN", 1),
        (K.AUTHORIZE, "SUCCEEDED", False, "RELEASED", 0),
        (K.CAPTURE, "SUCCEEDED", False, "OPEN", 1),
        (K.REFUND, "IN_DOUBT", True, "DOUBT", 0),
        (K.AUTHORIZE, "MANUAL_REVIEW", True, "DOUBT", 0),
        (K.AUTHORIZE, "CONFLICTED", True, "DOUBT", 0),
        (K.AUTHORIZE, "PENDING", True, "PENDING", 0),
        (K.AUTHORIZE, "DECLINED_SOFT", True, "DECLINED", 0),
        (K.AUTHORIZE, "NOT_FOUND", True, "DECLINED", 0),
        (K.AUTHORIZE, "SUBMITTING", True, None, 0),
        (K.AUTHORIZE, "A_STATE_OF_TOMORROW", True, None, 0),
        (K.VOID, "SUCCEEDED", True, None, 0),
    ],
)
def test_only_success_is_booked_and_doubt_is_kept(kind, state, captures, result, journals):
    posting = plan([FedEvent(1, fact(kind, state, captures=captures))], after=0)

    assert (1, journals) == (posting.position, len(posting.journals))
    assert ([result] if result else []) == [one.state for one in posting.expectations]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount": 0}, "must be positive"),
        ({"amount": -5}, "must be positive"),
        ({"asset": "???"}, "asset registry"),
        ({"processor_account": ""}, "without processor_account"),
        ({"merchant": ""}, "without merchant"),
        ({"kind": K.UNKNOWN}, "of a kind that this version does not know"),
    ],
)
def test_a_success_that_cannot_be_booked_stops_in_front_of_itself(changes, why):
    events = [
        FedEvent(1, fact(operation="payments/pay_a/operations/0")),
        FedEvent(2, fact(**changes)),
        FedEvent(3, None),
    ]

    posting = plan(events, after=0)

    assert (1, 1) == (posting.position, len(posting.journals))
    assert why in str(posting.stopped_by)


def test_an_event_that_is_sent_again_is_passed_over():
    posting = plan([FedEvent(3, fact()), FedEvent(4, None)], after=3)

    assert (4, []) == (posting.position, posting.journals)


def test_a_doubt_ends_only_as_the_router_says():
    doubt = follow(None, fact(state="IN_DOUBT"), ExpectationEvent.LOSE_TRACK)

    booked = follow(doubt, fact(), ExpectationEvent.BOOK)

    assert ("DOUBT", "OPEN") == (doubt.state, booked.state)
    assert follow(booked, fact(), ExpectationEvent.BOOK) is None
    with pytest.raises(TransitionRefused):
        follow(booked, fact(state="DECLINED_HARD"), ExpectationEvent.DECLINE)


def test_what_settles_always_has_a_due_time():
    assert AT + DUE_WITHOUT_TERMS == expected(fact(), ExpectationState.OPEN).due_time


@pytest.mark.parametrize(
    ("found", "severity", "solved_by"),
    [
        (AT, Severity.CRITICAL, AT + timedelta(hours=4)),
        (AT, Severity.HIGH, AT + timedelta(days=1)),
        (AT + timedelta(days=4), Severity.HIGH, AT + timedelta(days=7)),  # Friday to Monday
        (AT + timedelta(days=5), Severity.CRITICAL, datetime(2026, 1, 12, 4, tzinfo=UTC)),
        (AT, Severity.LOW, AT + timedelta(days=14)),
    ],
)
def test_the_time_to_solve_runs_on_business_days(found, severity, solved_by):
    assert solved_by == due(found, severity)


def test_every_outcome_that_is_told_is_in_the_catalogue():
    quiet = {Outcome.MATCHED, Outcome.PROCESSOR_LINE}

    assert set() == {str(one) for one in Outcome if one not in quiet} - set(CATALOGUE)
    for row in CATALOGUE.values():
        assert row.choices
        for choice in row.choices:
            assert EXCEPTION.accepts(ExceptionState.ASSIGNED, EVENTS[choice])


def test_a_closed_exception_only_comes_back():
    for state in CLOSED:
        events = {event for (source, event) in EXCEPTION.transitions if source is state}
        assert {"COME_BACK"} == events


def test_a_settled_expectation_and_a_settled_line_stay_settled():
    assert ExpectationState.SETTLED in EXPECTATION.terminal
    assert {"SETTLED", "DIFFERS", "BOOKED", "PARKED"} == set(LINE.terminal)
