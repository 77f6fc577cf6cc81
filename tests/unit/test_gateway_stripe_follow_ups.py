"""What Stripe says about captures, voids, refunds and payouts, and what we make of it."""

from dataclasses import replace

import pytest
import stripe

from cashier_common.money import Money
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.clients.stripe.follow_up_wire import (
    capture_answer,
    capture_params,
    payout_answer,
    refund_answer,
    refund_params,
    void_answer,
)
from cashier_gateway.clients.stripe.wire import OPERATION_FIELD, error_answer, intent_params
from cashier_gateway.domain.call import Call, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from tests.unit.test_gateway_domain import A_COMMAND, AT
from tests.unit.test_gateway_stripe_wire import refused

CODES = load_codes("stripe")
NONE: frozenset[str] = frozenset()


def a_call(kind: Kind, **asked) -> Call:
    request = Request(kind=kind, authorization_reference="pi_1", target_reference="pi_1", **asked)
    command = replace(A_COMMAND, operation="payments/pay_a/operations/2", request=request)
    return Call.submitted(command, b"f", traceparent="", at=AT)


CAPTURE, VOID, REFUND, PAYOUT = (
    a_call(kind) for kind in (Kind.CAPTURE, Kind.VOID, Kind.REFUND, Kind.PAYOUT)
)


def an_intent(**changes) -> stripe.PaymentIntent:
    facts = {
        "object": "payment_intent",
        "id": "pi_1",
        "status": "succeeded",
        "amount": 3000,
        "amount_received": 1250,
        "currency": "eur",
        "latest_charge": "ch_1",
        "metadata": {OPERATION_FIELD: "payments/pay_a/operations/1", "cashier_capture_2": "1250"},
    }
    return stripe.PaymentIntent.construct_from(facts | changes, "sk_test_x")


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({}, Event.SUCCEED),
        ({"status": "requires_capture"}, Event.SUCCEED),
        ({"metadata": {}}, Event.LOSE_TRACK),
        ({"metadata": {"cashier_capture_3": "1250"}}, Event.LOSE_TRACK),
        ({"metadata": {"cashier_capture_2": "1251"}, "amount_received": 1251}, Event.CONFLICT),
        ({"metadata": {"cashier_capture_2": "oops"}}, Event.CONFLICT),
        ({"amount_received": 1350}, Event.CONFLICT),
        ({"currency": "usd"}, Event.CONFLICT),
        ({"id": "pi_2"}, Event.CONFLICT),
        ({"amount_received": None}, Event.LOSE_TRACK),
        (
            {
                "metadata": {"cashier_capture_2": "1250", "cashier_capture_3": "500"},
                "amount_received": 1750,
            },
            Event.SUCCEED,
        ),
    ],
    ids=str,
)
def test_a_capture_is_what_the_intent_shows_of_it(changes, event):
    assert event is capture_answer(CAPTURE, an_intent(**changes), refused=NONE).event


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"amount": 1250}, Event.SUCCEED),
        ({"amount": 3000, "amount_received": 1250}, Event.SUCCEED),
        ({"amount": 3000, "amount_received": 1000}, Event.LOSE_TRACK),
        ({"status": "requires_capture", "amount": 1250}, Event.LOSE_TRACK),
    ],
    ids=str,
)
def test_without_metadata_only_a_capture_of_all_can_be_told(changes, event):
    """What a server without capture metadata shows of a part could be anybody's."""
    intent = an_intent(metadata={}, **changes)

    told = capture_answer(CAPTURE, intent, refused=frozenset({"capture_metadata"}))

    assert event is told.event


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"status": "canceled", "amount": 1250, "amount_received": 0}, Event.SUCCEED),
        ({"status": "canceled", "amount": 1250, "amount_received": None}, Event.SUCCEED),
        ({"status": "canceled", "amount": 3000, "amount_received": 0}, Event.CONFLICT),
        ({"status": "succeeded", "amount": 2000, "amount_received": 750}, Event.SUCCEED),
        ({"status": "succeeded", "amount": 1250, "amount_received": 1250}, Event.LOSE_TRACK),
        ({"status": "requires_capture"}, Event.LOSE_TRACK),
        ({"status": "canceled", "id": "pi_2"}, Event.CONFLICT),
    ],
    ids=str,
)
def test_a_void_is_what_was_released(changes, event):
    assert event is void_answer(VOID, an_intent(**changes)).event


def a_thing(kind, **changes):
    facts = {
        "object": kind.OBJECT_NAME,
        "id": "x_1",
        "amount": 1250,
        "currency": "eur",
        "metadata": {OPERATION_FIELD: REFUND.operation},
    }
    return kind.construct_from(facts | changes, "sk_test_x")


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"status": "succeeded", "payment_intent": "pi_1"}, Event.SUCCEED),
        ({"status": "pending"}, Event.PEND),
        ({"status": "requires_action"}, Event.PEND),
        ({"status": "failed", "failure_reason": "declined"}, Event.DECLINE_HARD),
        ({"status": "canceled"}, Event.DECLINE_HARD),
        ({"status": "of_tomorrow"}, Event.LOSE_TRACK),
        ({"status": "succeeded", "payment_intent": "pi_2"}, Event.CONFLICT),
        ({"status": "succeeded", "amount": 1}, Event.CONFLICT),
        ({"status": "succeeded", "metadata": {}}, Event.CONFLICT),
        ({"status": "succeeded", "amount": None}, Event.LOSE_TRACK),
    ],
    ids=str,
)
def test_a_refund_says_what_it_says(changes, event):
    assert event is refund_answer(REFUND, a_thing(stripe.Refund, **changes), CODES).event


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"status": "paid"}, Event.SUCCEED),
        ({"status": "in_transit"}, Event.PEND),
        ({"status": "pending"}, Event.PEND),
        ({"status": "failed", "failure_code": "no_account"}, Event.DECLINE_HARD),
        ({"status": "paid", "currency": "usd"}, Event.CONFLICT),
    ],
    ids=str,
)
def test_a_payout_says_what_it_says(changes, event):
    assert event is payout_answer(PAYOUT, a_thing(stripe.Payout, **changes), CODES).event


@pytest.mark.parametrize(
    ("kind", "code", "meaning"),
    [
        (Kind.CAPTURE, "payment_intent_unexpected_state", "NOT_CAPTURABLE"),
        (Kind.VOID, "payment_intent_unexpected_state", "NOT_VOIDABLE"),
        (Kind.REFUND, "charge_already_refunded", "NOT_REFUNDABLE"),
        (Kind.PAYOUT, "balance_insufficient", "NOT_FUNDED"),
        (Kind.AUTHORIZE, "payment_intent_unexpected_state", "REQUEST_MALFORMED"),
    ],
)
def test_one_code_means_what_the_operation_makes_of_it(kind, code, meaning):
    answer = error_answer(kind, refused(400, {"error": {"code": code}}), "", CODES)

    assert meaning == answer.decline.meaning


@pytest.mark.parametrize(
    ("final", "multicapture", "sent"),
    [(False, True, False), (True, True, None), (False, False, None)],
)
def test_a_capture_is_final_unless_more_may_follow(final, multicapture, sent):
    call = a_call(Kind.CAPTURE, final=final)

    params = capture_params(call, call.request, refused=NONE, multicapture=multicapture)

    assert sent is params.get("final_capture")
    assert {"cashier_capture_2": "1250"} == params["metadata"]


def test_several_captures_are_asked_for_when_the_intent_is_made():
    held = replace(CAPTURE, request=replace(A_COMMAND.request, capture=False))

    params = intent_params(held, confirm=True, refused=NONE, multicapture=True)

    assert {"card": {"request_multicapture": "if_available"}} == params["payment_method_options"]


@pytest.mark.parametrize(("reason", "sent"), [("duplicate", "duplicate"), ("too late", None)])
def test_only_a_reason_of_stripes_own_list_is_sent(reason, sent):
    call = a_call(Kind.REFUND, reason=reason)

    assert sent == refund_params(call, call.request, refused=NONE).get("reason")


def test_amounts_are_in_stripes_units_in_every_request():
    call = replace(CAPTURE, amount=Money(5, "ISK"))

    params = capture_params(call, call.request, refused=NONE, multicapture=False)

    assert 500 == params["amount_to_capture"]
