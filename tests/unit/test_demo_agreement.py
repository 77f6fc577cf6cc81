"""The comparison that decides the demo's exit code, with each way in which books can be wrong."""

from dataclasses import replace

import pytest

from cashier_common.money import Money
from cashier_mesh.demo.agreement import Booking, Charge, Evidence, disagreements

ACCOUNT = "sandbox-us"
PAYMENT = "payments/pay_a"
CHARGE = Charge(ACCOUNT, "ch_1", f"{PAYMENT}/operations/2", Money(1999, "USD"))
BOOKING = Booking(ACCOUNT, CHARGE.operation, CHARGE.amount)
AGREED = Evidence(
    charges=(CHARGE,),
    reported={(ACCOUNT, "USD"): 1999},
    bookings=(BOOKING,),
    booked={(ACCOUNT, "USD"): 1999},
    outcomes={PAYMENT: "SUCCEEDED", "payments/pay_b": "FAILED"},
)


def test_books_that_say_what_the_processors_say_agree():
    assert [] == disagreements(AGREED)


def test_no_payments_at_all_agree():
    nothing = Evidence(charges=(), reported={}, bookings=(), booked={}, outcomes={})

    assert [] == disagreements(nothing)


def test_a_charge_that_nobody_here_made_is_found():
    stranger = Charge(ACCOUNT, "ch_2", "n", Money(5, "USD"))

    found = disagreements(
        replace(AGREED, charges=(CHARGE, stranger), reported={(ACCOUNT, "USD"): 2004})
    )

    assert [
        "sandbox-us took 20.04 USD and our books say 19.99 USD: 0.05 USD apart",
        "sandbox-us holds ch_2 over 0.05 USD under n, and nothing in our books belongs to it",
    ] == found


def test_two_charges_of_one_operation_are_found():
    again = replace(CHARGE, charge_id="ch_2")

    found = disagreements(
        replace(AGREED, charges=(CHARGE, again), reported={(ACCOUNT, "USD"): 3998})
    )

    assert f"{PAYMENT} was charged 2 times: ch_1 at sandbox-us, ch_2 at sandbox-us" in found


def test_a_payment_that_two_accounts_charged_is_found_even_when_both_are_booked():
    other = Charge("sandbox-global", "ch_9", f"{PAYMENT}/operations/1", Money(1999, "USD"))
    cell = ("sandbox-global", "USD")

    found = disagreements(
        replace(
            AGREED,
            charges=(CHARGE, other),
            bookings=(BOOKING, Booking("sandbox-global", other.operation, other.amount)),
            reported={**AGREED.reported, cell: 1999},
            booked={**AGREED.booked, cell: 1999},
        )
    )

    assert [f"{PAYMENT} was charged 2 times: ch_1 at sandbox-us, ch_9 at sandbox-global"] == found


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"charges": (), "reported": {}}, "the processor knows no such charge"),
        ({"bookings": (), "booked": {}}, "nothing in our books belongs to it"),
        ({"bookings": (BOOKING, BOOKING)}, "2 times"),
        ({"bookings": (replace(BOOKING, amount=Money(1998, "USD")),)}, "our books have 19.98 USD"),
        ({"bookings": (replace(BOOKING, amount=Money(1999, "EUR")),)}, "our books have 19.99 EUR"),
        ({"bookings": (replace(BOOKING, account="sandbox-eu"),)}, "at sandbox-eu for it"),
        ({"booked": {(ACCOUNT, "USD"): 1998}}, "0.01 USD apart"),
        ({"booked": {}}, "our books say 0.00 USD"),
        ({"reported": {(ACCOUNT, "USD"): 2000}}, "its charges sum to 19.99 USD"),
        ({"charges": (CHARGE, CHARGE)}, "lists ch_1 2 times"),
        ({"outcomes": {PAYMENT: "FAILED"}}, "is FAILED, and sandbox-us charged it as ch_1"),
        ({"outcomes": {PAYMENT: "PROCESSING"}}, "is PROCESSING, and sandbox-us charged it"),
        ({"outcomes": {"payments/pay_z": "SUCCEEDED"}}, "no processor has a charge for it"),
    ],
)
def test_every_way_to_be_wrong_is_said_in_a_sentence(change, part):
    found = disagreements(replace(AGREED, **change))

    assert any(part in sentence for sentence in found), found
