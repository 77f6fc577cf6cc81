"""Installments, codes that wait, and who pays: what the router keeps, tells and keeps to itself."""

import dataclasses

import pytest

from cashier.common.v1 import customer_pb2, instrument_pb2, money_pb2
from cashier.payments.v1 import payment_service_pb2
from cashier_common.errors import FieldInvalid
from cashier_router.clients.rail_codec import authorize_request, payout_request
from cashier_router.clients.risk import assess_request
from cashier_router.domain.instrument import Method
from cashier_router.domain.lifecycle import OperationState
from cashier_router.domain.questions import QuestionPlan, Schedule
from cashier_router.domain.routing import Question, decide
from cashier_router.rpc.command_codec import to_command
from tests.support.router_values import a_command, a_payment, an_account

DOCUMENT = "52998224725"
PIX = instrument_pb2.PAYMENT_METHOD_PIX


def asked(method=instrument_pb2.PAYMENT_METHOD_CARD, **changes):
    scope = instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT
    token = instrument_pb2.InstrumentToken(
        scope=scope, processor_account="sandbox-dlocal", token="tok_ok"
    )
    card = method == instrument_pb2.PAYMENT_METHOD_CARD
    return payment_service_pb2.CreatePaymentRequest(
        merchant="acme-games", merchant_reference="order-1",
        amount=money_pb2.Money(minor=1250, asset_code="BRL"),
        instrument=instrument_pb2.Instrument(
            method=method, tokens=[token] if card else [], holder_name="Maria Silva"
        ),
        customer=customer_pb2.Customer(country="BR", email="m@example.com", document=DOCUMENT),
        **changes,
    )  # fmt: skip


def command(request):
    return to_command(request, "key-0000-0000-0001")


def test_installments_are_part_of_what_was_asked_and_one_is_none():
    one, none, six = (command(asked(installments=count)) for count in (1, 0, 6))

    assert one.fingerprint == none.fingerprint != six.fingerprint
    assert (1, 6) == (none.terms.installments, six.terms.installments)


@pytest.mark.parametrize(
    ("method", "count"),
    [(instrument_pb2.PAYMENT_METHOD_CARD, 25), (instrument_pb2.PAYMENT_METHOD_CARD, -1), (PIX, 2)],
)
def test_installments_have_bounds_and_are_for_cards(method, count):
    with pytest.raises(FieldInvalid) as refused:
        command(asked(method, installments=count))

    assert "installments" == refused.value.field


def test_a_pix_needs_no_token_and_a_document_is_kept_nowhere():
    made = command(asked(PIX))

    assert Method.PIX is made.instrument.method
    assert DOCUMENT not in str(dataclasses.asdict(made))


def test_a_document_that_cannot_be_one_is_refused_without_being_shown():
    request = asked(PIX)
    request.customer.document = "5299822472<>"

    with pytest.raises(FieldInvalid) as refused:
        command(request)

    assert "5299822472" not in str(refused.value)


def test_only_an_account_that_takes_them_gets_a_payment_in_installments():
    few, many = an_account("few"), an_account("many", max_installments=12)
    instrument = a_command().instrument
    question = dataclasses.replace(a_question(instrument), installments=6)

    decision = decide(question, [few, many], {})

    assert {"few": "INSTALLMENTS"} == {
        c.account: c.removed_by for c in decision.candidates if c.account == "few"
    }


def a_question(instrument):
    return Question(
        merchant="acme-games", amount=a_command().amount, instrument=instrument,
        customer_country="US", merchant_category_code="", manual_capture=False, payout=False,
        strict_only=False,
    )  # fmt: skip


def test_who_pays_is_told_while_the_caller_waits_and_nobody_is_told_afterwards():
    payment, request = a_payment("sandbox-us"), asked()
    operation = payment.operations[0]

    told = authorize_request(payment, operation, request)
    later = authorize_request(payment, operation, None)
    paid = payout_request(payment, operation, request)

    assert (DOCUMENT, "m@example.com", "Maria Silva") == (
        told.customer.document, told.customer.email, told.instrument.holder_name,
    )  # fmt: skip
    assert ("", "", "") == (
        later.customer.document, later.customer.email, later.instrument.holder_name,
    )  # fmt: skip
    assert DOCUMENT == paid.customer.document


def test_risk_is_not_told_the_document():
    request = asked()

    told = assess_request(command(request), request)

    assert ("m@example.com", "") == (told.customer.email, told.customer.document)
    assert DOCUMENT == request.customer.document


def test_a_voucher_is_asked_about_for_a_month_and_a_card_for_two_days():
    plan = QuestionPlan(doubt=Schedule((1,)))

    def days(method):
        asks = [plan.pause_s(OperationState.ACTION_REQUIRED, method, n) for n in range(200)]
        return sum(pause for pause in asks if pause is not None) // 86_400

    assert (2, 3, 31) == (days(Method.CARD), days(Method.PIX), days(Method.VOUCHER))
