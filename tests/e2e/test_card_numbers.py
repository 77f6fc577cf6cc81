"""A card number is refused wherever a caller puts it, and nothing of the mesh keeps it."""

import random
import time
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cashier.common.v1 import customer_pb2, instrument_pb2
from cashier.payments.v1 import payment_pb2, payment_service_pb2
from cashier_common.rpc.status import error_info
from tests.support.everywhere import everything, places_with
from tests.support.whole_mesh import (
    CALL_S,
    MERCHANT,
    a_card,
    a_key,
    a_payment,
    eventually,
    with_unknown_field,
)

CREATE = "/cashier.payments.v1.PaymentService/CreatePayment"
# Spans leave their process once a second, steps are sealed within five.
EXPORTED_AFTER_S = 2.0
UNKNOWN_FIELD = 9_999
FULL_WIDTH = 0xFEE0  # from an ASCII digit to its full-width form


def a_number(scheme: str = "4929", digits: int = 16) -> str:
    """A valid card number that stands nowhere by chance."""
    body = scheme + "".join(random.choices("0123456789", k=digits - len(scheme) - 1))
    doubled = [2 * int(d) for d in body[::-2]]
    total = sum(d - 9 if d > 9 else d for d in doubled) + sum(int(d) for d in body[-2::-2])
    return body + str(-total % 10)


def spelled(number: str) -> dict[str, str]:
    groups = [number[i : i + 4] for i in range(0, len(number), 4)]
    wide = "".join(chr(ord(digit) + FULL_WIDTH) for digit in number)
    return {
        "plain": number,
        "spaces": " ".join(groups),
        "dashes": "-".join(groups),
        "dots and words": f"card: {'.'.join(groups)} exp 12/29",
        "full-width": wide,
        "zero-width": "\u200b".join(number),
    }


def in_fields(text: str) -> dict[str, payment_service_pb2.CreatePaymentRequest]:
    """A good payment with the text in one place of it each."""
    tagged = customer_pb2.Customer(country="US", tags=["vip", text])
    named = customer_pb2.Customer(country="US", customer_id=text)
    written = customer_pb2.Customer(country="US", email=f"{text}@example.com")
    device = a_payment().device
    device.browser.user_agent = text
    card = a_card()
    card.fingerprint = text
    return {
        "metadata": a_payment(metadata={"note": text}),
        "metadata name": a_payment(metadata={text: "note"}),
        "merchant_reference": a_payment(merchant_reference=text),
        "statement_descriptor": a_payment(statement_descriptor=text),
        "token": a_payment(instrument=a_card(token=text)),
        "fingerprint": a_payment(instrument=card),
        "tags": a_payment(customer=tagged),
        "customer_id": a_payment(customer=named),
        "email": a_payment(customer=written),
        "browser": a_payment(device=device),
        "return_url": a_payment(return_url=f"https://shop.example/?card={text}"),
        "merchant": a_payment(merchant=text),
    }


@pytest.fixture(scope="module")
def tried(whole_mesh):
    """Card numbers that callers have sent in every way that we know of: how it was answered."""
    answers = {}

    def attempt(way, call):
        try:
            answers[way] = call()
        except grpc.RpcError as error:
            answers[way] = error

    numbers = {}
    for spelling in spelled(""):
        number = numbers[spelling] = a_number()
        text = spelled(number)[spelling]
        for place, request in in_fields(text).items():
            attempt((spelling, place), lambda request=request: whole_mesh.send(request))
    for scheme, digits in (("4", 13), ("37", 15), ("6011", 16), ("2221", 16), ("62", 19)):
        number = numbers[f"{scheme}…"] = a_number(scheme, digits)
        request = a_payment(metadata={"note": number})
        attempt((scheme, "metadata"), lambda request=request: whole_mesh.send(request))
    for place, metadata in {
        "idempotency-key": lambda text: ("idempotency-key", text.replace(" ", "-") + "-0001"),
        "call metadata": lambda text: ("x-order-note", text),
        "binary call metadata": lambda text: ("x-note-bin", text.encode()),
        "traceparent": lambda text: ("traceparent", text),
        "baggage": lambda text: ("baggage", f"card={text}"),
    }.items():
        for spelling in ("plain", "dashes"):
            number = numbers[place, spelling] = a_number()
            pair = metadata(spelled(number)[spelling])
            attempt((spelling, place), lambda pair=pair: whole_mesh.send(a_payment(), pair))
    return numbers, answers


def test_a_card_number_is_refused_in_every_field_and_spelling(tried):
    _, answers = tried

    told = {}
    for way, answer in answers.items():
        info = error_info(answer) if isinstance(answer, grpc.RpcError) else None
        told[way] = info.reason if info else str(answer)

    foreign = {way for way, reason in told.items() if reason == "MERCHANT_DENIED"}
    assert {way for way in told if way[1] == "merchant"} == foreign  # who may not, learns no more
    assert {"CARD_NUMBER_REFUSED"} == {told[way] for way in told if way not in foreign}
    codes = {answers[way].code() for way in told if way not in foreign}
    assert {grpc.StatusCode.INVALID_ARGUMENT} == codes


def test_the_refusal_names_the_field_and_never_the_number(tried):
    numbers, answers = tried

    assert "metadata" == error_info(answers["plain", "metadata"]).metadata["field"]
    assert "customer.tags" == error_info(answers["dashes", "tags"]).metadata["field"]
    assert (
        "metadata x-order-note" == error_info(answers["plain", "call metadata"]).metadata["field"]
    )
    said = {way: f"{a.details()} {a.trailing_metadata()}" for way, a in answers.items()}
    for number in numbers.values():
        assert [] == places_with(said, number)


def test_an_operator_may_not_send_one_as_a_merchant_either(whole_mesh):
    request = a_payment(merchant=a_number())

    with pytest.raises(grpc.RpcError) as refused:
        whole_mesh.payments("operator").CreatePayment(
            request, timeout=CALL_S, metadata=[("idempotency-key", a_key())]
        )

    assert "CARD_NUMBER_REFUSED" == error_info(refused.value).reason


def test_nothing_that_looks_like_a_number_but_is_none_is_refused(whole_mesh):
    number = a_number()
    wrong_check = number[:-1] + str((int(number[-1]) + 1) % 10)

    paid, _ = whole_mesh.pay(
        merchant_reference=f"{a_key()}", metadata={"order": wrong_check, "time": "1795366889419925"}
    )

    assert payment_pb2.Payment.STATE_SUCCEEDED == paid.state


def test_the_numbers_are_in_no_log_span_table_or_key_and_the_search_would_find_them(
    whole_mesh, tried
):
    numbers, _ = tried
    hidden = sneaked_in(whole_mesh)
    paid, trailing = whole_mesh.pay()
    time.sleep(EXPORTED_AFTER_S)

    everywhere = everything(whole_mesh.mesh)

    found = {way: places_with(everywhere, number) for way, number in (numbers | hidden).items()}
    assert {} == {way: places for way, places in found.items() if places}
    # The same search finds what must be there, so it would have found a number.
    traced = places_with(everywhere, str(trailing["trace-id"]))
    assert {"log router", "log risk", "log gateway"} <= set(traced)
    assert {"spans router", "spans risk", "spans gateway"} <= set(traced)
    named = places_with(everywhere, paid.name)
    assert {"file sandbox/ledger.jsonl", "valkey"} <= set(named)
    in_tables = {place.split()[1] for place in named if place.startswith("table ")}
    assert {"router", "risk", "gateway"} <= in_tables
    referred = places_with(everywhere, paid.merchant_reference)
    assert "router" in {place.split()[1] for place in referred if place.startswith("table ")}


def sneaked_in(whole_mesh) -> dict[str, str]:
    """Ways that no contract knows: whatever the answer is, the number must leave no trace."""
    numbers = {way: a_number() for way in ("unknown field", "in a card", "path", "health", "name")}
    body = with_unknown_field(a_payment(), UNKNOWN_FIELD, numbers["unknown field"])
    whole_mesh.raw(CREATE, body, ("idempotency-key", a_key()))
    card = instrument_pb2.Instrument.FromString(
        with_unknown_field(a_card(), UNKNOWN_FIELD, numbers["in a card"])
    )
    whole_mesh.send(a_payment(instrument=card))
    with pytest.raises(grpc.RpcError):
        whole_mesh.raw(f"/cashier.payments.v1.PaymentService/{numbers['path']}", b"")
    health: Any = health_pb2_grpc.HealthStub(whole_mesh.channel())
    with pytest.raises(grpc.RpcError):
        health.Check(health_pb2.HealthCheckRequest(service=numbers["health"]), timeout=CALL_S)
    with pytest.raises(grpc.RpcError):
        whole_mesh.payments().GetPayment(
            payment_service_pb2.GetPaymentRequest(merchant=MERCHANT, name=numbers["name"]),
            timeout=CALL_S,
        )
    return numbers


def test_the_search_reads_every_form_of_a_number():
    number = a_number()

    for spelling, text in spelled(number).items():
        assert ["here"] == places_with({"here": f"note={text};", "there": "nothing"}, number), (
            spelling
        )


def test_a_refused_payment_leaves_no_payment(whole_mesh):
    key, reference = a_key(), a_key()
    refused = a_payment(merchant_reference=reference, metadata={"note": a_number()})
    with pytest.raises(grpc.RpcError):
        whole_mesh.send(refused, ("idempotency-key", key))

    listed = whole_mesh.payments().ListPayments(
        payment_service_pb2.ListPaymentsRequest(merchant=MERCHANT, merchant_reference=reference),
        timeout=CALL_S,
    )
    paid, trailing = whole_mesh.send(
        a_payment(merchant_reference=reference), ("idempotency-key", key)
    )

    assert [] == list(listed.payments)
    assert payment_pb2.Payment.STATE_SUCCEEDED == paid.state  # the key was not claimed
    assert "idempotent-replayed" not in trailing
    assert eventually(lambda: whole_mesh.payments().GetPayment(
        payment_service_pb2.GetPaymentRequest(merchant=MERCHANT, name=paid.name), timeout=CALL_S
    ))  # fmt: skip
