"""The operation's table, whatever happens to it."""

from hypothesis import given
from hypothesis import strategies as st

from cashier_common.errors import TransitionRefused
from cashier_router.domain.lifecycle import (
    OPENS_NEXT_RAIL,
    OPERATION,
    UNRESOLVED,
    OperationEvent,
    OperationState,
    PaymentState,
)
from cashier_router.domain.progress import Outcome, answer
from cashier_router.storage.rows import as_json, operation_row, payment_row, to_payment
from tests.support.router_values import AT, a_payment

EVENTS = st.lists(st.tuples(st.sampled_from(OperationEvent), st.booleans()), max_size=12)


def after(events):
    """A payment with three accounts after these events, illegal ones refused; and its history."""
    payment = a_payment("a", "b", "c")
    history = [payment]
    for event, late in events:
        number = 1 if late else len(payment.operations)
        try:
            payment, _ = answer(payment, number, Outcome(event), at=AT, may_go_on=True)
        except TransitionRefused:
            continue
        history.append(payment)
    return history


@given(st.lists(st.sampled_from(OperationEvent)))
def test_a_finished_operation_stays_finished(events):
    state = OPERATION.initial
    for event in events:
        if not OPERATION.accepts(state, event):
            continue
        before, state = state, OPERATION.next(state, event)

        assert before not in OPERATION.terminal


def test_only_evidence_leaves_a_doubt():
    leaving = {
        event for (state, event) in OPERATION.transitions if state is OperationState.IN_DOUBT
    }

    assert {
        OperationEvent.SUCCEED, OperationEvent.DECLINE_HARD, OperationEvent.DECLINE_SOFT,
        OperationEvent.PROVE_ABSENT, OperationEvent.ESCALATE, OperationEvent.CONTRADICT,
    } == leaving  # fmt: skip


@given(EVENTS)
def test_never_two_operations_are_unresolved_at_once(events):
    for payment in after(events):
        unresolved = [o for o in payment.operations if o.state in UNRESOLVED]

        assert len(unresolved) <= 1


@given(EVENTS)
def test_every_operation_before_the_last_allowed_the_next(events):
    last = after(events)[-1]

    assert all(o.state in OPENS_NEXT_RAIL for o in last.operations[:-1])


@given(EVENTS)
def test_money_is_captured_at_most_once_and_only_by_a_success(events):
    last = after(events)[-1]
    successes = [o for o in last.operations if o.state is OperationState.SUCCEEDED]

    assert len(successes) <= 1
    assert sum(o.amount.minor for o in successes) == last.amounts.captured
    assert (PaymentState.SUCCEEDED is last.state) == bool(successes)


@given(EVENTS)
def test_a_stored_payment_is_read_back_as_it_was(events):
    payment = after(events)[-1]
    row = payment_row(payment)
    parts = [{**operation_row(payment, o), "asks": o.asks} for o in payment.operations]

    assert payment == to_payment(row, parts)
    assert as_json(None) is None
