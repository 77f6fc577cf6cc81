"""dLocal's messages as pure functions: requests, answers, amounts, and who pays."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashier_common.money import Money
from cashier_common.settings import SettingsRefused
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.clients.dlocal.adapter import KEY_LIFE, DLocalProcessor
from cashier_gateway.clients.dlocal.answers import answer_of, error_answer
from cashier_gateway.clients.dlocal.signing import Credential, signature
from cashier_gateway.clients.dlocal.units import AmountNotExpressible, exact, from_dlocal, to_dlocal
from cashier_gateway.clients.dlocal.wire import ask_of, look_up_path, order_path
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Action
from cashier_gateway.domain.payer import Payer
from tests.support.processor_stands import STANDS

NAME = "payments/pay_aaaaaaaaaaaaaaaaaaaaaaaaaa/operations/1"
PAYER = Payer("Maria da Silva", "maria@example.com", "529.982.247-25")
CODES = load_codes("dlocal")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


PRICE = Money(1250, "BRL")


def a_call(kind=Kind.AUTHORIZE, amount=PRICE, *, payer=PAYER, **asked):
    told = {"method": "CARD", "token": "tok_ok", "customer_country": "BR"} | asked
    request = Request(kind=kind, **told)
    command = Command("acme-games", NAME, "dlocal", amount, request, payer=payer)
    return Call.submitted(command, b"", traceparent="", at=NOW)


def sent(call):
    path, body = ask_of(call)
    return path, exact(body) if body else None


def a_payment(**changes):
    body = {
        "id": "D-4-one", "amount": Decimal("12.50"), "currency": "BRL", "status": "PAID",
        "status_code": "200", "order_id": NAME,
    }  # fmt: skip
    return body | changes


def test_a_card_is_asked_for_with_its_installments_and_its_payer():
    call = a_call(capture=False, installments=6, statement_descriptor="ACME", customer_id="c-1")

    path, body = sent(call)

    assert "/payments" == path
    assert {
        "amount": Decimal("12.50"), "currency": "BRL", "country": "BR",
        "payment_method_id": "CARD", "payment_method_flow": "DIRECT", "order_id": NAME,
        "payer": {
            "name": "Maria da Silva", "email": "maria@example.com", "document": "52998224725",
            "user_reference": "c-1",
        },
        "card": {
            "card_id": "tok_ok", "capture": False, "installments": "6", "descriptor": "ACME",
        },
    } == body  # fmt: skip


@pytest.mark.parametrize(("method", "code"), [("PIX", "PQ"), ("VOUCHER", "OX")])
def test_a_local_method_has_no_card(method, code):
    _, body = sent(a_call(method=method, token="", capture=True))

    assert code == body["payment_method_id"]
    assert "card" not in body


def test_a_refund_is_of_the_capture_where_there_was_one():
    asked = {"authorization_reference": "D-4-auth", "target_reference": "D-4-capture"}

    path, body = sent(a_call(Kind.REFUND, payer=None, reason="too big", **asked))

    assert "/refunds" == path
    assert ("D-4-capture", NAME, "too big") == (
        body["payment_id"], body["order_refund_id"], body["description"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("country", "asset", "place", "method"),
    [
        ("BR", "BRL", "pix_key", "INSTANT_PAYMENT"),
        ("MX", "MXN", "bank_account", "BANK_TRANSFER"),
    ],
)
def test_a_payout_goes_by_pix_or_by_spei(country, asset, place, method):
    call = a_call(Kind.PAYOUT, Money(1250, asset), customer_country=country)

    path, body = sent(call)

    beneficiary = body["beneficiary"]
    assert ("/payouts/v3", method, NAME) == (path, body["payment_method_id"], body["external_id"])
    assert ("Maria", "da Silva") == (beneficiary["first_name"], beneficiary["last_name"])
    assert {place: "tok_ok"} == beneficiary["bank_details"]


def test_names_in_a_path_are_quoted():
    assert "/orders/payments%2Fpay_" in order_path(a_call())
    assert "/payments/a%2Fb" == look_up_path(replace(a_call(), reference="a/b"))


@given(st.integers(min_value=1, max_value=10**15), st.sampled_from(["BRL", "MXN", "JPY", "USD"]))
def test_an_amount_comes_back_as_it_went(minor, code):
    money = Money(minor, code)

    assert money == from_dlocal(exact(orjson.dumps(to_dlocal(money))), code)


def test_what_dlocal_cannot_say_is_refused_and_never_rounded():
    assert b"19.99" == orjson.dumps(to_dlocal(Money(19_990, "KWD")))
    for money in (Money(19_991, "KWD"), Money(1, "USDC"), Money(10**17, "BRL")):
        with pytest.raises(AmountNotExpressible):
            to_dlocal(money)
    for number in (Decimal("12.505"), "12.50", None, True, Decimal("NaN"), Decimal("1E+999999")):
        with pytest.raises(AmountNotExpressible):
            from_dlocal(number, "BRL")
    with pytest.raises(ValueError, match="line 1"):
        exact(b'{"amount": NaN}')


def test_brackets_that_would_end_the_process_are_refused():
    """Where the interpreter may recurse as deep as it likes, the C stack ends first."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(ValueError, match="depth limit"):
            exact(b"[" * 100_000)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({}, Event.SUCCEED),
        ({"amount": Decimal("13.50")}, Event.CONFLICT),
        ({"amount": "12.50"}, Event.CONFLICT),
        ({"currency": "MXN"}, Event.CONFLICT),
        ({"order_id": "somebody-else"}, Event.CONFLICT),
        ({"order_id": None}, Event.CONFLICT),
        ({"status": "AUTHORIZED", "status_code": "600"}, Event.CONFLICT),  # it was to capture
        ({"status": "VERIFIED", "status_code": "700"}, Event.LOSE_TRACK),
        ({"status": None}, Event.LOSE_TRACK),
        ({"id": None}, Event.LOSE_TRACK),
        ({"status": "PENDING", "status_code": "100"}, Event.PEND),
        ({"status": "EXPIRED", "status_code": "500"}, Event.CLOSE),
        ({"status": "CANCELLED", "status_code": "400"}, Event.CLOSE),
        ({"status": "REJECTED", "status_code": "321"}, Event.DECLINE_SOFT),
        ({"status": "REJECTED", "status_code": "302"}, Event.DECLINE_HARD),
        ({"status": "REJECTED", "status_code": "999"}, Event.DECLINE_HARD),
    ],
)
def test_an_answer_is_read_and_never_guessed(changes, event):
    answer = answer_of(a_call(capture=True), a_payment(**changes), CODES)

    assert event is answer.event
    assert answer.amount == (Money(1250, "BRL") if event is Event.SUCCEED else answer.amount)


def test_a_code_is_shown_with_its_page_and_its_end():
    ticket = {
        "number": "00020101", "image_url": "https://dlocal.example/t",
        "expiration_date": "2026-11-22T12:30:00.000+0000",
    }  # fmt: skip
    body = a_payment(status="PENDING", status_code="100", ticket=ticket)

    answer = answer_of(a_call(method="PIX", capture=True), body, CODES)

    assert Event.REQUIRE_ACTION is answer.event
    assert answer.action == Action(
        url="https://dlocal.example/t", kind="PIX_QR", code="00020101",
        expire_at=NOW + timedelta(minutes=30),
    )  # fmt: skip
    assert answer.action == Action.from_json(answer.action.to_json(secrets=False))


def test_a_code_that_is_not_there_is_a_doubt():
    body = a_payment(status="PENDING", status_code="100", ticket={"type": "CUSTOM"})

    assert Event.LOSE_TRACK is answer_of(a_call(method="PIX", capture=True), body, CODES).event


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Kind.CAPTURE, {"authorization_id": "D-4-other"}),
        (Kind.REFUND, {"payment_id": "D-4-other"}),
        (Kind.VOID, {"id": "D-4-other", "status": "CANCELLED"}),
        (Kind.PAYOUT, {"external_id": "another"}),
    ],
)
def test_an_answer_about_something_else_is_a_conflict(kind, changes):
    call = a_call(kind, authorization_reference="D-4-auth", target_reference="D-4-auth")

    assert Event.CONFLICT is answer_of(call, a_payment(**changes), CODES).event


@pytest.mark.parametrize(
    ("kind", "status", "code", "event"),
    [
        (Kind.AUTHORIZE, 429, 6000, Event.DECLINE_SOFT),
        (Kind.AUTHORIZE, 403, 3001, Event.DECLINE_SOFT),
        (Kind.AUTHORIZE, 400, 5009, Event.LOSE_TRACK),  # an order of ours is there already
        (Kind.REFUND, 400, 5007, Event.DECLINE_HARD),
        (Kind.REFUND, 400, 5011, Event.LOSE_TRACK),
        (Kind.PAYOUT, 400, 5011, Event.LOSE_TRACK),
        (Kind.AUTHORIZE, 500, 7000, Event.LOSE_TRACK),
        (Kind.AUTHORIZE, 504, 6000, Event.LOSE_TRACK),
        (Kind.AUTHORIZE, 400, 4242, Event.LOSE_TRACK),
        (Kind.AUTHORIZE, 400, "6000", Event.LOSE_TRACK),
    ],
)
def test_a_refused_request_says_what_its_number_says(kind, status, code, event):
    answer = error_answer(a_call(kind), status, {"code": code, "message": "no"}, CODES)

    assert (event, event is not Event.LOSE_TRACK) == (answer.event, answer.of_request)


def test_no_listed_payout_is_ever_tried_elsewhere():
    for code in ("5012", "5013", "5015"):
        _, decline = CODES.errors.read(operation="payout", code=code, advice="")
        assert "NEVER" == decline.category


@pytest.mark.parametrize("text", ["one", "one:", "a:b:c", "a:b:c:d:e", ""])
def test_a_credential_that_lacks_a_part_is_refused_without_being_shown(text):
    with pytest.raises(SettingsRefused) as refused:
        Credential.parse(text, of="dlocal-br", payouts=False)

    assert "dlocal-br" in str(refused.value)
    with pytest.raises(SettingsRefused):
        Credential.parse("a:b", of="dlocal-br", payouts=True)


def test_a_signature_is_over_login_date_and_body():
    """Worked out with openssl: printf '%s' loginDATEbody | openssl dgst -sha256 -hmac key"""
    known = "59492bb3a437158ca17e04cd57104e46acc880103b40f2b28ae91b91446377e9"

    assert known == signature("login", "DATE", b"body", "key")


class StandingClock:
    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at

    def monotonic(self):
        return 0.0


async def test_nothing_is_repeated_when_its_key_may_be_forgotten():
    """The port is nobody's: a repetition would fail otherwise than it does."""
    (stand,) = [stand for stand in STANDS if stand.name == "dlocal"]
    account = stand.account(9)
    processor = DLocalProcessor(
        account, base_url="http://127.0.0.1:9", credential="a:b:c:d",
        clock=StandingClock(NOW + KEY_LIFE + timedelta(seconds=1)),
    )  # fmt: skip

    answer = await processor.close_door(
        a_call(Kind.REFUND, authorization_reference="D-4-a", target_reference="D-4-a")
    )

    assert (Event.LOSE_TRACK, True) == (answer.event, "too old" in answer.detail)
    await processor.close()


async def test_without_its_payer_a_request_is_asked_about_and_not_made_anew():
    (stand,) = [stand for stand in STANDS if stand.name == "dlocal"]
    processor = DLocalProcessor(
        stand.account(9), base_url="http://127.0.0.1:9", credential="a:b:c:d"
    )

    answer = await processor.send(a_call(Kind.PAYOUT, payer=None), None)

    assert (Event.LOSE_TRACK, False) == (answer.event, answer.of_request)
    await processor.close()
