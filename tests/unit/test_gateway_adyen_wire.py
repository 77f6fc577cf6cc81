"""What Adyen's documented answers mean for a call, and what it is asked for."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cashier_common.money import Money
from cashier_gateway.clients.adyen.units import AmountNotExpressible, from_adyen, to_adyen
from cashier_gateway.clients.adyen.wire import (
    answer_of,
    body_of,
    error_answer,
    path_of,
)
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.domain.declines import lint
from cashier_gateway.domain.lifecycle import Event

CODES = load_codes("adyen")
OPERATION = f"payments/pay_{'a' * 26}/operations/1"
PSP, MODIFICATION = "993617895204576J", "QFQTPCQ8HXSKGK82"
MERCHANT = "CashierECOM"


def a_call(kind=Kind.AUTHORIZE, amount=Money(1250, "EUR"), **request) -> Call:  # noqa: B008
    facts = {"capture": kind is Kind.AUTHORIZE, "token": "8415995487234100"} | request
    if kind not in {Kind.AUTHORIZE, Kind.PAYOUT}:
        facts |= {"authorization_reference": PSP, "target": OPERATION}
    command = Command("acme", OPERATION, "adyen-eu", amount, Request(kind, **facts))
    return Call.submitted(command, b"", traceparent="", at=datetime(2026, 11, 22, tzinfo=UTC))


def authorised(**changes) -> dict[str, Any]:
    return {
        "pspReference": PSP,
        "resultCode": "Authorised",
        "amount": {"currency": "EUR", "value": 1250},
        "merchantReference": OPERATION,
    } | changes


def refused(code: str, **extra) -> dict[str, Any]:
    return authorised(
        resultCode="Refused", refusalReason="…", refusalReasonCode=code, additionalData=extra
    )


def test_an_authorised_payment_succeeds():
    answer = answer_of(a_call(), authorised(), CODES)

    assert (Event.SUCCEED, PSP, Money(1250, "EUR")) == (
        answer.event, answer.reference, answer.amount,
    )  # fmt: skip


def test_an_authorised_payment_without_an_amount_is_the_whole_one():
    """As in Adyen's own example: less would be PartiallyAuthorised."""
    body = authorised()
    del body["amount"]

    assert Money(1250, "EUR") == answer_of(a_call(), body, CODES).amount


@pytest.mark.parametrize(
    "lie",
    [
        {"amount": {"currency": "EUR", "value": 1251}},
        {"amount": {"currency": "USD", "value": 1250}},
        {"amount": {"currency": "XTS", "value": 1250}},
        {"merchantReference": "somebody-else"},
        {"resultCode": "PartiallyAuthorised"},
    ],
)
def test_an_answer_about_something_else_is_a_conflict(lie):
    answer = answer_of(a_call(), authorised(**lie), CODES)

    assert Event.CONFLICT is answer.event


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "Authorised",
        {},
        {"pspReference": 1},
        authorised(resultCode="Splendid"),
        authorised(resultCode="AuthenticationFinished"),
        authorised(resultCode=None),
        authorised(amount={"value": "1250", "currency": "EUR"}),
        authorised(amount="1250 EUR"),
        authorised(merchantReference=None),
        authorised(resultCode="RedirectShopper"),
        authorised(resultCode="ChallengeShopper", action="threeDS2"),
    ],
)
def test_what_is_not_recognised_is_in_doubt(body):
    assert Event.LOSE_TRACK is answer_of(a_call(), body, CODES).event


@pytest.mark.parametrize(("result", "event"), [("Pending", Event.PEND), ("Received", Event.PEND)])
def test_a_payment_that_waits_is_pending(result, event):
    assert event is answer_of(a_call(), authorised(resultCode=result), CODES).event


@pytest.mark.parametrize(
    ("code", "event", "meaning"),
    [
        ("9", Event.DECLINE_SOFT, "ISSUER_UNAVAILABLE"),
        ("4", Event.DECLINE_SOFT, "PROCESSING_ERROR"),
        ("2", Event.DECLINE_HARD, "DO_NOT_HONOR"),
        ("12", Event.DECLINE_HARD, "INSUFFICIENT_FUNDS"),
        ("20", Event.DECLINE_HARD, "FRAUD_SUSPECTED"),
        ("31", Event.DECLINE_HARD, "FRAUD_SUSPECTED"),
        ("777", Event.DECLINE_HARD, "UNRECOGNISED"),
    ],
)
def test_a_refusal_says_why(code, event, meaning):
    answer = answer_of(a_call(), refused(code), CODES)

    assert (event, meaning, code) == (answer.event, answer.decline.meaning, answer.decline.code)


@pytest.mark.parametrize("advice", ["03 : Do not try again", "21"])
def test_a_scheme_that_says_never_makes_a_soft_refusal_final(advice):
    answer = answer_of(a_call(), refused("9", merchantAdviceCode=advice), CODES)

    assert (Event.DECLINE_HARD, "NEVER") == (answer.event, answer.decline.category)


def test_the_map_passes_its_lint():
    assert [] == lint(CODES.declines.rows) + lint(CODES.errors.rows)


def test_a_redirect_is_a_page_to_open():
    action = {"type": "redirect", "method": "GET", "url": "https://test.adyen.com/hpp/3d"}

    answer = answer_of(a_call(), authorised(resultCode="RedirectShopper", action=action), CODES)

    assert (Event.REQUIRE_ACTION, action["url"]) == (answer.event, answer.action.url)


@pytest.mark.parametrize(
    "action",
    [
        {"type": "threeDS2", "subtype": "fingerprint", "token": "eyJ…"},
        {"type": "redirect", "method": "POST", "url": "https://a.test/", "data": {"MD": "x"}},
    ],
)
def test_what_a_browser_cannot_just_open_goes_to_adyens_component(action):
    answer = answer_of(a_call(), authorised(resultCode="IdentifyShopper", action=action), CODES)

    assert ("", "adyen") == (answer.action.url, answer.action.sdk)
    assert action["type"] in answer.action.data["action"]


@pytest.mark.parametrize(("score", "ppm"), [(0, 0), (25, 250_000), (140, 1_000_000), (-5, 0)])
def test_the_fraud_score_travels_in_parts_per_million(score, ppm):
    answer = answer_of(a_call(), authorised(fraudResult={"accountScore": score}), CODES)

    assert ppm == answer.risk_ppm


@pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.VOID, Kind.REFUND])
def test_a_modification_that_was_received_is_pending(kind):
    body = {
        "pspReference": MODIFICATION, "paymentPspReference": PSP, "status": "received",
        "reference": OPERATION, "amount": {"currency": "EUR", "value": 1250},
    }  # fmt: skip

    answer = answer_of(a_call(kind), body, CODES)

    assert (Event.PEND, MODIFICATION) == (answer.event, answer.reference)


@pytest.mark.parametrize(
    "lie", [{"paymentPspReference": "another"}, {"reference": "another"},
            {"amount": {"currency": "EUR", "value": 1}}]
)  # fmt: skip
def test_a_modification_of_something_else_is_a_conflict(lie):
    body = {"pspReference": MODIFICATION, "paymentPspReference": PSP, "status": "received"}

    assert Event.CONFLICT is answer_of(a_call(Kind.CAPTURE), body | lie, CODES).event


@pytest.mark.parametrize(
    ("status", "code", "event"),
    [
        (401, "000", Event.DECLINE_SOFT),
        (403, "901", Event.DECLINE_SOFT),
        (429, "000", Event.DECLINE_SOFT),
        (422, "138", Event.DECLINE_HARD),
        (422, "704", Event.LOSE_TRACK),  # the first request with the key is still at work
        (422, "703", Event.LOSE_TRACK),
        (422, "999", Event.LOSE_TRACK),
        (500, "901", Event.LOSE_TRACK),
        (503, None, Event.LOSE_TRACK),
    ],
)
def test_a_refused_request_is_a_no_only_where_that_is_documented(status, code, event):
    body = {"status": status, "errorCode": code, "message": "…", "errorType": "validation"}

    answer = error_answer(a_call(), status, body, CODES)

    assert event is answer.event
    assert answer.of_request is (event is not Event.LOSE_TRACK)


def test_a_payment_asks_for_what_was_wanted():
    call = a_call(customer_id="cust-1", customer_country="NL", off_session=True)

    body = body_of(call, MERCHANT)

    assert "/v71/payments" == path_of(call)
    assert {"value": 1250, "currency": "EUR"} == body["amount"]
    assert (MERCHANT, OPERATION, 0) == (
        body["merchantAccount"], body["reference"], body["captureDelayHours"],
    )  # fmt: skip
    assert "UnscheduledCardOnFile" == body["recurringProcessingModel"]


def test_an_authorization_alone_is_captured_by_hand():
    body = body_of(a_call(capture=False), MERCHANT)

    assert {"manualCapture": "true"} == body["additionalData"]
    assert "captureDelayHours" not in body


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Kind.CAPTURE, f"/v71/payments/{PSP}/captures"),
        (Kind.VOID, f"/v71/payments/{PSP}/cancels"),
        (Kind.REFUND, f"/v71/payments/{PSP}/refunds"),
        (Kind.PAYOUT, "/pal/servlet/Payout/v68/payout"),
    ],
)
def test_each_kind_has_its_path(kind, path):
    assert path == path_of(a_call(kind))


def test_a_cancellation_has_no_amount_and_a_reason_of_ours_stays_here():
    assert "amount" not in body_of(a_call(Kind.VOID), MERCHANT)
    call = a_call(Kind.REFUND)
    strange = replace(call, request=replace(call.request, reason="changed her mind"))
    known = replace(call, request=replace(call.request, reason="fraud"))
    assert "merchantRefundReason" not in body_of(strange, MERCHANT)
    assert "FRAUD" == body_of(known, MERCHANT)["merchantRefundReason"]


@pytest.mark.parametrize(
    ("money", "value"),
    [
        (Money(1250, "EUR"), 1250),
        (Money(500, "JPY"), 500),
        (Money(1234, "KWD"), 1234),
        (Money(500, "CLP"), 50_000),
        (Money(500, "ISK"), 50_000),
        (Money(150_000, "IDR"), 1_500),
    ],
)
def test_amounts_are_adyens_both_ways(money, value):
    there = to_adyen(money)

    assert {"value": value, "currency": money.asset} == there
    assert money == from_adyen(value, money.asset)


@pytest.mark.parametrize("money", [Money(150_001, "IDR"), Money(1, "BTC"), Money(1, "CVE")])
def test_what_adyen_cannot_say_is_not_rounded(money):
    with pytest.raises(AmountNotExpressible):
        to_adyen(money)
