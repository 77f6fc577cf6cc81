"""Brazil and Mexico behind the whole mesh: waiting codes, installments, payouts, and the books."""

import pytest

from cashier.common.v1 import instrument_pb2
from cashier.payments.v1 import payment_pb2, payment_service_pb2
from tests.support.mesh_client import a_key, a_payment, a_payout
from tests.support.waiting import until

Payment, Operation = payment_pb2.Payment, payment_pb2.Operation
ACCOUNT = "sandbox-dlocal"
CPF, RFC = "529.982.247-25", "GODE561231GR8"
PAID = {"outcome": "succeed"}
EXPIRED = {"outcome": "decline", "code": "expired"}

# `whole_mesh` waits until the routers have heard of the rails' accounts.
pytestmark = [pytest.mark.usefixtures("whole_mesh", "books_agree"), pytest.mark.long]


def local(request, country, document, *, method=instrument_pb2.PAYMENT_METHOD_CARD):
    """The request as a customer of that country makes it."""
    if method != instrument_pb2.PAYMENT_METHOD_CARD:
        request.instrument.CopyFrom(instrument_pb2.Instrument(method=method))
    request.instrument.holder_name = "Maria Silva"
    request.customer.country = country
    request.customer.email = "maria@example.com"
    request.customer.document = document
    return request


def a_pix(minor=1_990):
    request = a_payment(ACCOUNT, minor=minor, asset="BRL")
    return local(request, "BR", CPF, method=instrument_pb2.PAYMENT_METHOD_PIX)


def a_voucher(minor=25_000):
    request = a_payment(ACCOUNT, minor=minor, asset="MXN")
    return local(request, "MX", RFC, method=instrument_pb2.PAYMENT_METHOD_VOUCHER)


async def in_state(checkout, payment, state):
    async def look():
        found = await checkout.get(payment.name)
        return found if found.state == state else None

    return await until(look, 60)


async def moved(processors, payment):
    return [move.minor for move in await processors.moves_of(payment.name)]


async def test_a_pix_is_paid_and_a_part_of_it_given_back(checkout, processors):
    created = (await checkout.create(a_pix(), a_key())).payment
    await processors.waiting(created.operations[0].name, "resolve", PAID)
    paid = await in_state(checkout, created, Payment.STATE_SUCCEEDED)
    await checkout.refund(paid, 990)
    done = await until(lambda: refunded(checkout, paid), 60)

    code = created.next_action.display_code
    assert Payment.STATE_ACTION_REQUIRED == created.state, created
    assert ("PIX_QR", "00020101021226") == (code.kind, code.code[:14])
    assert code.url.startswith("http")
    assert created.next_action.HasField("expire_time")
    assert (1_990, 990) == (done.captured_amount.minor, done.refunded_amount.minor)
    assert [1_990, -990] == await moved(processors, created)


async def refunded(checkout, payment):
    found = await checkout.get(payment.name)
    return found if found.refunded_amount.minor else None


async def test_a_voucher_expires_and_what_is_paid_late_is_given_back(checkout, processors):
    created = (await checkout.create(a_voucher(), a_key())).payment
    await processors.waiting(created.operations[0].name, "resolve", EXPIRED)
    expired = await until(lambda: ended(checkout, created), 60)
    await processors.waiting(created.operations[0].name, "pay_late", {})
    reversed_ = await until(lambda: with_reversal(checkout, created), 60)

    assert "VOUCHER" == created.next_action.display_code.kind
    assert Operation.STATE_EXPIRED == expired.operations[0].state
    assert 0 == expired.captured_amount.minor
    assert Operation.KIND_REVERSAL == reversed_.operations[-1].kind
    assert [25_000, -25_000] == await moved(processors, created)


async def ended(checkout, payment):
    found = await checkout.get(payment.name)
    return found if found.operations[0].state == Operation.STATE_EXPIRED else None


async def with_reversal(checkout, payment):
    found = await checkout.get(payment.name)
    last = found.operations[-1]
    done = last.kind == Operation.KIND_REVERSAL and last.state == Operation.STATE_SUCCEEDED
    return found if done else None


async def test_a_card_is_paid_in_installments_and_a_cheaper_account_takes_none(
    checkout, processors
):
    request = a_payment(ACCOUNT, minor=60_000, asset="BRL", sandbox_latam="tok_ok")
    request = local(request, "BR", CPF)
    request.installments = 6

    payment = (await checkout.create(request, a_key())).payment

    removed = {c.processor_account: c.removed_by for c in payment.routing_decision.candidates}
    assert Payment.STATE_SUCCEEDED == payment.state, payment
    assert ACCOUNT == payment.operations[0].processor_account
    assert "INSTALLMENTS" == removed["sandbox-latam"]
    assert [60_000] == await moved(processors, payment)


async def test_without_a_document_nothing_is_sent(checkout, processors):
    request = a_pix()
    request.customer.document = ""

    payment = (await checkout.create(request, a_key())).payment

    assert Payment.STATE_FAILED == payment.state
    assert Operation.STATE_NOT_SENT == payment.operations[0].state
    assert [] == await moved(processors, payment)


async def test_a_winner_is_paid_by_pix(checkout, processors):
    request: payment_service_pb2.CreatePayoutRequest = a_payout(ACCOUNT)
    request.amount.asset_code, request.amount.minor = "BRL", 5_000
    request = local(request, "BR", CPF)
    request.instrument.method = instrument_pb2.PAYMENT_METHOD_PIX

    paid = await checkout.payout(request, a_key())

    assert Payment.STATE_SUCCEEDED == paid.state, paid
    assert [-5_000] == await moved(processors, paid)
