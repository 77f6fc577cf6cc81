"""The checker of the books bites: what is wrong at a processor does not stay unseen."""

import uuid

import pytest

from tests.support.invariants import check, violations
from tests.support.mesh_client import a_key, a_payment


async def test_a_second_charge_made_by_hand_is_found(mesh, checkout, processors):
    payment = (await checkout.create(a_payment(), a_key())).payment
    before = await violations(mesh)

    await processors.charge_by_hand("sandbox-us", payment.operations[0].name, 1_000)

    found = await violations(mesh) - before
    operation = payment.operations[0].name
    assert {payment.name, operation} == {violation.about for violation in found}
    assert {"CHARGED_TWICE", "MOVED_TWICE", "CAPTURED_DIFFERS"} == {v.rule for v in found}


async def test_a_charge_at_another_account_is_found(mesh, checkout, processors):
    payment = (await checkout.create(a_payment(token="tok_decline_hard"), a_key())).payment
    before = await violations(mesh)

    await processors.charge_by_hand("sandbox-global", payment.operations[0].name, 1_000)

    found = await violations(mesh) - before
    assert {"OTHER_ACCOUNT", "CAPTURED_DIFFERS"} == {violation.rule for violation in found}


async def test_a_charge_that_nobody_knows_is_found_at_every_processor(mesh, processors):
    before = await violations(mesh)
    unheard_of = f"payments/pay_{uuid.uuid4().hex}/operations/1"

    charges = {await processors.charge_by_hand("sandbox-us", unheard_of, 700)}
    if processors.has_stripe:
        form = {"amount": "700", "currency": "usd", "source": await processors.card("localstripe")}
        charges.add((await processors.stripe("POST", "/v1/charges", form))["id"])

    found = await violations(mesh) - before
    assert charges == {violation.about for violation in found}
    assert {"CHARGE_UNKNOWN"} == {violation.rule for violation in found}


async def test_a_refund_that_no_processor_made_is_found(checkout, processors):
    payment = (await checkout.create(a_payment(), a_key())).payment
    refunded = await checkout.refund(payment, 100)
    moves = [move for move in await processors.moves_of(payment.name) if move.minor > 0]

    found = check([refunded], moves)

    assert ["MOVED_DIFFERS"] == [violation.rule for violation in found]


async def test_money_that_we_booked_and_nobody_took_is_found(checkout):
    payment = (await checkout.create(a_payment(), a_key())).payment

    found = check([payment], moves=[])

    assert ["CAPTURED_DIFFERS"] == [violation.rule for violation in found]


@pytest.mark.parametrize("change", [{"minor": 999}, {"asset": "CAD"}], ids=["amount", "asset"])
async def test_a_charge_of_other_money_is_found(checkout, processors, change):
    payment = (await checkout.create(a_payment(), a_key())).payment
    (charge,) = await processors.moves_of(payment.name)

    found = check([payment], [type(charge)(**(vars(charge) | change))])

    assert "CAPTURED_DIFFERS" in {violation.rule for violation in found}
