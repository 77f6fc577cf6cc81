"""Stripe's messages: amounts in its units both ways, and what an intent or a refusal says."""

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from cashier_common.money import Money
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.clients.stripe.units import (
    AmountNotExpressible,
    from_stripe,
    to_stripe,
)
from cashier_gateway.clients.stripe.wire import (
    OPERATION_FIELD,
    error_answer,
    intent_answer,
    intent_params,
)
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from tests.unit.test_gateway_domain import A_COMMAND, AT

CODES = load_codes("stripe")
CALL = Call.submitted(A_COMMAND, b"f", traceparent="", at=AT)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Money(1999, "USD"), 1999),
        (Money(500, "JPY"), 500),
        (Money(500, "KRW"), 500),
        (Money(1230, "KWD"), 1230),
        (Money(5, "ISK"), 500),
        (Money(5, "UGX"), 500),
        (Money(500, "MGA"), 5),
        (Money(1999, "HUF"), 1999),
        (Money(1999, "TWD"), 1999),
    ],
    ids=str,
)
def test_an_amount_is_the_same_money_in_both_counts(ours, theirs):
    assert (theirs, ours.asset.lower()) == to_stripe(ours)
    assert ours == from_stripe(theirs, ours.asset.lower())


@pytest.mark.parametrize(
    "money",
    [Money(1234, "KWD"), Money(1234, "TND"), Money(501, "MGA"), Money(1, "USDC"), Money(1, "IQD")],
    ids=str,
)
def test_what_stripe_cannot_say_is_refused_and_never_rounded(money):
    with pytest.raises(AmountNotExpressible):
        to_stripe(money)


@pytest.mark.parametrize(("amount", "currency"), [(501, "isk"), (150, "ugx"), (1, "xxq")])
def test_what_stripe_says_and_we_cannot_is_refused_and_never_rounded(amount, currency):
    with pytest.raises(AmountNotExpressible):
        from_stripe(amount, currency)


@given(
    st.integers(1, 99_999_999), st.sampled_from(["USD", "JPY", "KWD", "ISK", "UGX", "MGA", "XOF"])
)
def test_there_and_back_is_the_same(minor, asset):
    money = Money(minor, asset)
    try:
        amount, currency = to_stripe(money)
    except AmountNotExpressible:
        return

    assert money == from_stripe(amount, currency)


def an_intent(**changes) -> stripe.PaymentIntent:
    facts = {
        "object": "payment_intent",
        "id": "pi_1",
        "status": "succeeded",
        "amount": 1250,
        "currency": "eur",
        "metadata": {OPERATION_FIELD: CALL.operation},
    }
    return stripe.PaymentIntent.construct_from(facts | changes, "sk_test_x")


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({}, Event.SUCCEED),
        ({"amount_received": 1250}, Event.SUCCEED),
        ({"amount_received": 1000}, Event.CONFLICT),
        ({"amount": 1251}, Event.CONFLICT),
        ({"currency": "usd"}, Event.CONFLICT),
        ({"metadata": {}}, Event.CONFLICT),
        ({"metadata": {OPERATION_FIELD: "payments/pay_b/operations/1"}}, Event.CONFLICT),
        ({"status": "requires_capture"}, Event.CONFLICT),  # it was to be captured
        ({"status": "processing"}, Event.PEND),
        ({"status": "requires_action", "client_secret": "s"}, Event.REQUIRE_ACTION),
        ({"status": "canceled"}, Event.CLOSE),
        ({"status": "requires_confirmation"}, Event.LOSE_TRACK),
        ({"status": "requires_payment_method"}, Event.LOSE_TRACK),
        ({"status": "something_new"}, Event.LOSE_TRACK),
        ({"amount": None}, Event.LOSE_TRACK),
    ],
    ids=str,
)
def test_an_intent_says_what_it_says(changes, event):
    assert event is intent_answer(CALL, an_intent(**changes), CODES).event


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ({"code": "card_declined", "decline_code": "try_again_later"}, "SOFT"),
        ({"code": "card_declined", "decline_code": "stolen_card"}, "NEVER"),
        ({"code": "card_declined", "decline_code": "a_code_of_tomorrow"}, "HARD"),
        ({"code": "card_declined"}, "HARD"),
    ],
    ids=str,
)
def test_a_declined_intent_tells_why(fault, category):
    intent = an_intent(status="requires_payment_method", last_payment_error=fault)

    assert category == intent_answer(CALL, intent, CODES).decline.category


def refused(status: int | None, body: object) -> stripe.StripeError:
    return stripe.StripeError("no", http_status=status, json_body=body)


@pytest.mark.parametrize(
    ("status", "fault", "event", "of_request"),
    [
        (429, {"code": "rate_limit"}, Event.DECLINE_SOFT, True),
        (429, {"code": "lock_timeout"}, Event.LOSE_TRACK, False),
        (401, {"type": "authentication_error"}, Event.DECLINE_SOFT, True),
        (400, {"type": "invalid_request_error"}, Event.DECLINE_HARD, True),
        (400, {"type": "idempotency_error"}, Event.LOSE_TRACK, False),
        (409, {"code": "idempotency_key_in_use"}, Event.LOSE_TRACK, False),
        (500, {"type": "api_error"}, Event.LOSE_TRACK, False),
        (503, {"type": "invalid_request_error"}, Event.LOSE_TRACK, False),
        (418, {"type": "a_type_of_tomorrow"}, Event.LOSE_TRACK, False),
        (502, None, Event.LOSE_TRACK, False),
        (None, None, Event.LOSE_TRACK, False),
    ],
    ids=str,
)
def test_a_refused_request_says_only_what_is_known(status, fault, event, of_request):
    answer = error_answer(Kind.AUTHORIZE, refused(status, {"error": fault}), "", CODES)

    assert (event, of_request) == (answer.event, answer.of_request)


def test_only_fields_that_the_server_takes_are_sent():
    full = intent_params(CALL, confirm=True, refused=frozenset())
    bare = intent_params(
        CALL, confirm=False, refused=frozenset({"allowed_payment_method_types", "return_url"})
    )

    assert ["card"] == full["allowed_payment_method_types"]
    assert {"amount", "currency", "metadata", "payment_method", "capture_method"} == set(bare)
