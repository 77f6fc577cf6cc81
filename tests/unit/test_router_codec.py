"""Requests to commands: what is refused is refused with the field's name."""

import pytest

from cashier.common.v1 import instrument_pb2
from cashier.payments.v1 import payment_pb2, payment_service_pb2
from cashier_common.errors import AssetUnknown, FieldInvalid, FieldRequired
from cashier_router.rpc.command_codec import AMOUNT_MAX_MINOR, to_command

KEY = "key-0000-0000-0001"


def a_request() -> payment_service_pb2.CreatePaymentRequest:
    request = payment_service_pb2.CreatePaymentRequest(
        merchant="acme-games", merchant_reference="order-1"
    )
    request.amount.minor = 1_999
    request.amount.asset_code = "USD"
    request.instrument.method = instrument_pb2.PAYMENT_METHOD_CARD
    request.instrument.tokens.add(
        scope=instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT,
        processor_account="sandbox-us", token="tok_ok",
    )  # fmt: skip
    return request


def test_equal_requests_have_equal_fingerprints_whatever_the_order_of_their_metadata():
    first, second = a_request(), a_request()
    first.metadata.update({"a": "1", "b": "2"})
    second.metadata.update({"b": "2", "a": "1"})

    assert to_command(first, KEY).fingerprint == to_command(second, KEY).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda r: setattr(r.amount, "minor", 2_000),
        lambda r: setattr(r.amount, "asset_code", "EUR"),
        lambda r: setattr(r, "merchant_reference", "order-2"),
        lambda r: setattr(r.instrument.tokens[0], "token", "tok_other"),
        lambda r: r.metadata.update({"a": "1"}),
        lambda r: setattr(r, "off_session", True),
        lambda r: setattr(r.customer, "country", "DE"),
        lambda r: setattr(r.device, "fingerprint", "d"),
    ],
    ids=["amount", "asset", "reference", "token", "metadata", "off_session", "customer", "device"],
)
def test_a_request_that_differs_in_any_field_has_another_fingerprint(change):
    request = a_request()

    change(request)

    assert to_command(a_request(), KEY).fingerprint != to_command(request, KEY).fingerprint


def test_an_unknown_field_of_a_newer_caller_does_not_change_the_fingerprint():
    newer = a_request()
    newer.MergeFromString(b"\xfa\x3f\x03new")  # field 1023, length-delimited

    assert to_command(a_request(), KEY).fingerprint == to_command(newer, KEY).fingerprint


@pytest.mark.parametrize("minor", [0, -1, AMOUNT_MAX_MINOR + 1, 2**63 - 1])
def test_an_amount_out_of_range_is_refused_by_name(minor):
    request = a_request()
    request.amount.minor = minor

    with pytest.raises(FieldInvalid, match=r"amount\.minor"):
        to_command(request, KEY)


@pytest.mark.parametrize("code", ["", "usd", "XXX", "DOGE2"])
def test_an_unknown_asset_is_refused(code):
    request = a_request()
    request.amount.asset_code = code

    with pytest.raises(AssetUnknown):
        to_command(request, KEY)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda r: setattr(r.customer, "country", "Germany"), "customer.country"),
        (lambda r: setattr(r.instrument, "bin", "42"), "instrument.bin"),
        (lambda r: setattr(r.instrument, "last4", "42424"), "instrument.last4"),
        (lambda r: setattr(r, "merchant_category_code", "79955"), "merchant_category_code"),
        (lambda r: setattr(r, "return_url", "javascript:alert(1)"), "return_url"),
        (lambda r: setattr(r, "merchant_reference", "r" * 129), "merchant_reference"),
        (lambda r: setattr(r.instrument.tokens[0], "token", "t" * 256), "token"),
        (lambda r: r.metadata.update({f"k{i}": "" for i in range(51)}), "metadata"),
        (lambda r: r.instrument.tokens[0].ClearField("processor_account"), "processor_account"),
    ],
    ids=[
        "country", "bin", "last4", "category", "url", "reference", "token", "metadata", "account",
    ],
)  # fmt: skip
def test_a_malformed_field_is_refused_by_name(change, field):
    request = a_request()
    change(request)

    with pytest.raises(FieldInvalid) as refused:
        to_command(request, KEY)

    assert field in refused.value.field


def test_a_card_without_a_token_is_refused():
    request = a_request()
    request.instrument.ClearField("tokens")

    with pytest.raises(FieldRequired, match=r"instrument\.tokens"):
        to_command(request, KEY)


def test_a_capture_method_that_we_do_not_know_is_refused():
    request = a_request()
    request.capture_method = 9

    with pytest.raises(FieldInvalid):
        to_command(request, KEY)


def test_manual_capture_is_another_wish_than_automatic():
    request = a_request()
    automatic = to_command(request, KEY)
    request.capture_method = payment_pb2.CAPTURE_METHOD_MANUAL

    assert automatic.fingerprint != to_command(request, KEY).fingerprint
