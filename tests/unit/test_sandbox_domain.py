"""The sandbox's rules without a server: scripts, amounts, fees, chance, card numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashier_sandbox.domain.book import Book, books_of
from cashier_sandbox.domain.card_number import has_card_number
from cashier_sandbox.domain.chance import Latency, LatencyKind, draw_ppm, stable_id
from cashier_sandbox.domain.charge import TRANSITIONS, Capture, Charge, Status
from cashier_sandbox.domain.declines import DECLINES
from cashier_sandbox.domain.entry import Draft, Entry, Kind, entry_from, placed
from cashier_sandbox.domain.fees import FeeSchedule
from cashier_sandbox.domain.script import Fault, Verdict, behaviour_of


@pytest.mark.parametrize(
    "token",
    [
        "",
        "ok",
        "tok_",
        "tok_nothing",
        "tok_slow_",
        "tok_slow_120001",
        "tok_held_601",
        "tok_500_before_0",
        "tok_decline_unheard_of",
        "tok_slow_-1",
        "tok_ok_1",
        "TOK_OK",
    ],
)
def test_a_token_outside_the_table_is_unknown(token):
    assert behaviour_of(token, 1250) is None


def test_every_decline_code_has_its_token():
    for code in DECLINES:
        behaviour = behaviour_of(f"tok_decline_{code}", 1)

        assert (Verdict.DECLINE, code) == (behaviour.verdict, behaviour.decline)


def test_a_label_changes_nothing():
    assert behaviour_of("tok_held_3", 1) == behaviour_of("tok_held_3.alice.b", 1)


def test_the_last_two_digits_of_an_amount_can_choose():
    lost, fine = behaviour_of("tok_by_amount", 1205), behaviour_of("tok_by_amount", 1250)

    assert (Fault.CUT, None) == (lost.after, fine.after)


@given(amount=st.integers(1, 10**12), bps=st.integers(0, 10_000), fixed=st.integers(0, 10**6))
def test_a_fee_is_rounded_half_up_and_never_exceeds_the_amount(amount, bps, fixed):
    fee = FeeSchedule(percent_bps=bps, fixed_minor={"EUR": fixed}).charge(amount, "EUR")

    exact_times_20000 = 2 * amount * bps + 20_000 * fixed
    assert 0 <= fee <= amount
    assert fee == amount or -10_000 < exact_times_20000 - 20_000 * fee <= 10_000


@given(st.lists(st.integers(1, 600), max_size=6), st.booleans())
def test_captures_and_releases_add_up_to_the_authorization(amounts, final):
    charge = Charge(
        id="ch_1",
        status=Status.AUTHORIZED,
        amount=1000,
        currency="EUR",
        token="tok_ok",
        reference="r",
        capture=False,
        metadata={},
        created_at="",
    )
    for number, amount in enumerate(amounts):
        if amount <= charge.capturable:
            capture = Capture(id=str(number), amount=amount, reference="", created_at="")
            charge = charge.with_capture(capture, fee=0, final=final)

    assert 1000 == charge.amount_captured + charge.amount_voided + charge.capturable
    assert sum(capture.amount for capture in charge.captures) == charge.amount_captured
    if charge.status is Status.AUTHORIZED:
        ended = charge.without_rest()
        assert 0 == ended.capturable
        assert ended.status is (Status.SUCCEEDED if ended.amount_captured else Status.VOIDED)


def test_a_finished_charge_has_no_way_on():
    """But for an expired one, which a shop may still take money for."""
    finished = {Status.SUCCEEDED, Status.DECLINED, Status.VOIDED}

    assert not finished & {status for status, _ in TRANSITIONS}


def test_chance_repeats_and_depends_on_every_part():
    draws = {draw_ppm(1, "a", n) for n in range(1000)}

    assert draw_ppm(1, "a", 5) == draw_ppm(1, "a", 5)
    assert draw_ppm(1, "a", 5) != draw_ppm(2, "a", 5)
    assert stable_id("ch", 1, "a", "bc") != stable_id("ch", 1, "ab", "c")
    assert len(draws) > 950
    assert 400_000 < sum(draws) / len(draws) < 600_000


def test_a_lognormal_latency_has_the_median_and_p99_that_were_asked_for():
    latency = Latency(LatencyKind.LOGNORMAL, 100, 900)

    assert 0.1 == pytest.approx(latency.of(500_000), rel=0.001)
    assert 0.9 == pytest.approx(latency.of(990_000), rel=0.001)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4242424242424242", True),
        ("4242-4242 4242.4242", True),
        ("".join(chr(0xFF10 + int(digit)) for digit in "4242424242424242"), True),
        ("card 378282246310005!", True),
        ("4242424242424241", False),
        ("1700000000000", False),
        ("payments/pay_abc/operations/1", False),
    ],
)
def test_a_card_number_is_seen_through_its_disguise(text, expected):
    assert expected == has_card_number(text)


def an_entry(seq=1, **changes):
    facts = {
        "account": "one",
        "kind": Kind.CHARGE,
        "id": "ch_1",
        "charge": "ch_1",
        "key": "k",
        "reference": "r",
        "currency": "EUR",
        "moved": 1000,
        "fee": 30,
        "detail": {
            "fingerprint": "f",
            "status": "succeeded",
            "amount": 1000,
            "metadata": {},
            "decline": None,
            "twist": None,
            "token": "tok_ok",
            "capture": True,
        },
    }
    return placed(Draft(**(facts | changes)), seq=seq, at="2026-01-01T00:00:00.000000Z")


def test_an_entry_survives_its_own_line():
    entry = an_entry()

    assert entry == entry_from(entry.as_dict())
    assert isinstance(entry, Entry)


def test_the_same_entries_make_the_same_book():
    chargeback = an_entry(
        2, kind=Kind.CHARGEBACK, id="dp_1", moved=-400, fee=15, detail={"reason": "fraudulent"}
    )
    book = books_of([an_entry(), chargeback])["one"]

    assert 600 == book.charges["ch_1"].refundable
    assert 1000 - 400 - 45 == book.totals["EUR"].net
    assert ["charge", "adjustment"] == [movement.type for movement in book.movements]
    assert Book().totals == {}
