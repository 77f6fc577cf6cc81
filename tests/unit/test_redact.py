"""Card numbers are found however they are written, and identifiers are left alone."""

import random
import uuid

import pytest

from cashier.common.v1 import customer_pb2
from cashier_common.redact import (
    CARD_MASK,
    PERSONAL_MASK,
    holds_card_number,
    masked,
    masked_value,
    may_hold_card_number,
)

CARDS = {
    "visa": "4111111111111111",
    "visa of 13 digits": "4222222222222",
    "visa of 19 digits": "4000000000000000006",
    "mastercard": "5555555555554444",
    "mastercard's second range": "2223003122003222",
    "american express": "378282246310005",
    "discover": "6011111111111117",
    "diners": "30569309025904",
    "jcb": "3530111333300000",
    "unionpay": "6200000000000005",
    "maestro": "6759649826438453",
}
SEED = 20_261_122


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS.keys())
@pytest.mark.parametrize(
    "written",
    [
        "{0}",
        "pay with {0} please",
        "PAN{0}",
        "{0}x",
        "{1}",
        "{2}",
        "{3}",
        "{4}",
        "{5}",
        "id 7c9e6679-7425-40de-944b-e07fc1f90ae7 card {0}",
    ],
    ids=[
        "plain",
        "in words",
        "after letters",
        "before letters",
        "spaced",
        "dashed",
        "full width",
        "dotted",
        "zero width spaces",
        "after an identifier",
    ],
)
def test_a_card_number_is_found_however_it_is_written(card, written):
    groups = [card[i : i + 4] for i in range(0, len(card), 4)]
    text = written.format(
        card,
        " ".join(groups),
        "-".join(groups),
        "".join(chr(0xFF10 + int(digit)) for digit in card),
        ". ".join(groups),
        "\u200b".join(card),
    )

    assert may_hold_card_number(text.encode())
    assert holds_card_number(text)
    assert CARD_MASK in masked(text)
    assert card not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4111111111111112",  # fails Luhn
        "1234567812345670",  # no scheme begins with 1
        "4111 1111 1111",  # twelve digits
        "2026-11-22T15:55:54.123456Z",
        "+49 30 901820",
        "payments/pay_7vxhq2mzk3bn5rtyw4ac6dplf2",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "DE89 3704 0044 0532 0130 00x",
        "grpc-python-asyncio/1.85.1 grpc-c/58.0.0 (linux; chttp2)",
    ],
)
def test_what_is_no_card_number_stays_as_it_is(text):
    assert not holds_card_number(text)
    assert text == masked(text)


def test_two_hundred_thousand_identifiers_are_no_card_numbers():
    chance = random.Random(SEED)

    found = []
    for _ in range(100_000):
        identifier = uuid.UUID(int=chance.getrandbits(128), version=4)
        width = chance.choice((16, 24, 32, 40, 64))
        hexadecimal = f"{chance.getrandbits(4 * width):0{width}x}"
        found += [text for text in (str(identifier), hexadecimal) if holds_card_number(text)]

    assert [] == found


def test_a_letter_glued_to_a_card_number_does_not_make_it_an_identifier():
    assert holds_card_number("b4111111111111111")
    assert holds_card_number("ab4111111111111111")


def test_the_cheap_filter_never_loses_what_the_exact_search_finds():
    chance = random.Random(SEED)
    for _ in range(2_000):
        card = chance.choice(list(CARDS.values()))
        separator = chance.choice(("", " ", "-", ".", "/", "_", "\u00a0", "\u2013"))
        before = "".join(chance.choices("abc 123-", k=chance.randrange(12)))
        text = f"{before}x{separator.join(card)}"

        assert holds_card_number(text)
        assert may_hold_card_number(text.encode())


def test_a_log_line_is_masked_to_its_leaves():
    customer = customer_pb2.Customer(customer_id="c-1", email="a@example.com", tags=["vip"])
    line = {
        "event": "refused 4111111111111111",
        "nested": [{"n": 4111111111111111, "wei": 10**30, "ok": True, "none": None}],
        "customer": customer,
    }

    safe = masked_value(line)

    assert {
        "event": f"refused {CARD_MASK}",
        "nested": [{"n": CARD_MASK, "wei": str(10**30), "ok": True, "none": None}],
        "customer": {"customer_id": "c-1", "email": PERSONAL_MASK, "tags": ["vip"]},
    } == safe
