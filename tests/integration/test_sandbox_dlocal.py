"""The imitation of dLocal: cards, PIX, vouchers and payouts, each answer once per key."""

from decimal import Decimal

import pytest

from tests.support.dlocal_client import (
    ACCOUNT,
    CPF,
    Client,
    a_payment,
    a_payout,
    a_pix,
    a_voucher,
    running_dlocal,
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_dlocal(tmp_path_factory.mktemp("dlocal")) as running:
        yield running


@pytest.fixture
async def dlocal(sandbox):
    client = Client(sandbox)
    yield client
    await client.close()
    async with sandbox.control() as control:
        await control.post("/control/reset")


async def entries(sandbox, reference):
    async with sandbox.control() as control:
        found = await control.get(f"/control/ledger?account={ACCOUNT}&reference={reference}")
    return found["entries"]


async def moved(sandbox, reference):
    return [entry["moved"] for entry in await entries(sandbox, reference) if entry["moved"]]


async def resolve(sandbox, reference, **body):
    (charge,) = [e["id"] for e in await entries(sandbox, reference) if e["kind"] == "charge"]
    async with sandbox.control() as control:
        await control.post(f"/control/charges/{charge}/resolve", body)


async def pay_late(sandbox, reference):
    (charge,) = [e["id"] for e in await entries(sandbox, reference) if e["kind"] == "charge"]
    async with sandbox.control() as control:
        return await control.ask("POST", f"/control/charges/{charge}/pay_late", {})


async def test_a_repeat_with_its_key_brings_the_first_answer_and_charges_once(dlocal, sandbox):
    first = await dlocal.pay(a_payment("twice"), "key-twice")
    again = await dlocal.pay(a_payment("twice"), "key-twice")

    assert ("PAID", "200", Decimal("12.50")) == (
        first["status"], first["status_code"], first["amount"],
    )  # fmt: skip
    assert first == again
    assert [1250] == await moved(sandbox, "twice")


async def test_an_order_is_paid_once_whatever_the_key(dlocal, sandbox):
    await dlocal.pay(a_payment("once"), "key-once-1")

    status, answer = await dlocal.ask("POST", "/payments", a_payment("once"), key="key-once-2")

    assert (400, 5009) == (status, answer["code"])
    assert [1250] == await moved(sandbox, "once")


@pytest.mark.some(2)
@pytest.mark.parametrize(
    "headers",
    [
        {"X_Login": "somebody"},
        {"X_Trans_Key": "wrong"},
        {"X_Date": "yesterday"},
        {"X_Date": "2026-01-31T12:00:00+00:00"},  # not what was signed
        {"Authorization": "V2-HMAC-SHA256, Signature: 00"},
    ],
)
async def test_who_cannot_sign_gets_nothing(dlocal, sandbox, headers):
    status, answer = await dlocal.ask("POST", "/payments", a_payment("forged"), **headers)

    assert (403, 3001) == (status, answer["code"])
    assert [] == await entries(sandbox, "forged")


@pytest.mark.some(4)
@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"amount": 12.505}, 5001, "amount"),
        ({"amount": "12.50"}, 5001, "amount"),
        ({"amount": 0}, 5016, "amount"),
        ({"currency": "EUR"}, 5004, "currency"),
        ({"country": "Brazil"}, 5003, "country"),
        ({"payment_method_id": "OX", "card": None}, 5010, "payment_method_id"),
        ({"payer": {"name": "A", "email": "a@b.c", "document": "123"}}, 5001, "payer.document"),
        ({"payer": {"name": "A", "email": "a@b.c"}}, 5001, "document"),
        ({"card": {"token": "tok_nobody"}}, 5008, "card.token"),
        ({"card": {"number": "4111111111111111"}}, 5001, "card.number"),
        ({"card": {"token": "tok_ok", "installments": "25"}}, 5001, "card.installments"),
        ({"order_id": None}, 5001, "order_id"),
        ({"surprise": 1}, 5001, "surprise"),
    ],
)
async def test_a_broken_request_is_refused_and_does_nothing(dlocal, sandbox, changes, code, param):
    status, answer = await dlocal.ask("POST", "/payments", a_payment("broken", **changes))

    assert (400, code, param) == (status, answer["code"], answer["param"])
    assert [] == await entries(sandbox, "broken")


async def test_a_pix_waits_for_its_payer_and_is_refunded_in_parts(dlocal, sandbox):
    waiting = await dlocal.pay(a_pix("pix"))
    await resolve(sandbox, "pix", outcome="succeed")
    _, paid = await dlocal.ask("GET", f"/payments/{waiting['id']}")
    parts = [
        await dlocal.ask(
            "POST", "/refunds", {"payment_id": paid["id"], "amount": amount, "currency": "BRL"}
        )
        for amount in (5, 7.50, 0.01)
    ]

    assert ("PENDING", "100", "TICKET") == (
        waiting["status"], waiting["status_code"], waiting["payment_method_type"],
    )  # fmt: skip
    assert waiting["ticket"]["number"].startswith("00020101021226")
    assert "PAID" == paid["status"]
    assert [(200, "SUCCESS"), (200, "SUCCESS"), (400, 5007)] == [
        (status, answer.get("status", answer.get("code"))) for status, answer in parts
    ]
    assert [1250, -500, -750] == await moved(sandbox, "pix")


async def test_the_checksum_of_a_qr_code_fits(dlocal):
    """EMV's QR codes end in a CRC-16 of all that stands before it, its own name and length too."""
    code = (await dlocal.pay(a_pix("checksum")))["ticket"]["number"]

    crc = 0xFFFF
    for bit in "".join(f"{byte:08b}" for byte in code[:-4].encode()):
        top = (crc >> 15) ^ int(bit)
        crc = ((crc << 1) ^ (0x1021 * top)) & 0xFFFF
    assert f"{crc:04X}" == code[-4:]


async def test_a_voucher_expires_and_may_be_paid_late(dlocal, sandbox):
    waiting = await dlocal.pay(a_voucher("late"))
    too_early, _, _ = await pay_late(sandbox, "late")
    await resolve(sandbox, "late", outcome="decline", code="expired")
    _, expired = await dlocal.ask("GET", f"/payments/{waiting['id']}")
    await pay_late(sandbox, "late")
    _, paid = await dlocal.ask("GET", f"/payments/{waiting['id']}")

    assert ("BARCODE", 14) == (waiting["ticket"]["type"], len(waiting["ticket"]["barcode"]))
    assert 409 == too_early
    assert ("EXPIRED", "500", "PAID") == (
        expired["status"], expired["status_code"], paid["status"],
    )  # fmt: skip
    assert [1250] == await moved(sandbox, "late")


async def test_a_voucher_cannot_be_cancelled(dlocal):
    waiting = await dlocal.pay(a_voucher("kept"))

    status, answer = await dlocal.ask("POST", f"/payments/{waiting['id']}/cancel")

    assert (400, 5002) == (status, answer["code"])


async def test_an_authorization_is_captured_in_parts_and_the_rest_released(dlocal, sandbox):
    held = await dlocal.pay(a_payment("held", card={"token": "tok_ok", "capture": False}))
    part = {"authorization_id": held["id"], "currency": "BRL"}
    first = await dlocal.pay(part | {"amount": 5, "order_id": "held-2"})
    over, too_much = await dlocal.ask("POST", "/payments", part | {"amount": 7.51})
    _, released = await dlocal.ask("POST", f"/payments/{held['id']}/cancel")
    _, found = await dlocal.ask("GET", "/orders/held-2")

    assert ("AUTHORIZED", "PAID") == (held["status"], first["status"])
    assert held["id"] == first["authorization_id"] != first["id"]
    assert (400, 5007) == (over, too_much["code"])
    assert "CANCELLED" == released["status"]
    assert (first["id"], "PAID") == (found["payment_id"], found["status"])
    assert [500] == await moved(sandbox, "held-2")


@pytest.mark.parametrize(
    ("token", "code"),
    [("tok_decline_soft", "321"), ("tok_decline_insufficient_funds", "302"), ("tok_stolen", "313")],
)
async def test_a_refusal_says_why_in_dlocals_codes(dlocal, token, code):
    answer = await dlocal.pay(a_payment(f"no-{code}", card={"token": token}))

    assert ("REJECTED", code) == (answer["status"], answer["status_code"])


async def test_installments_are_told_and_do_not_change_what_moves(dlocal, sandbox):
    card = {"token": "tok_ok", "installments": "6"}

    answer = await dlocal.pay(a_payment("parts", card=card))

    assert "6" == answer["card"]["installments"]
    assert [1250] == await moved(sandbox, "parts")


async def test_a_payout_needs_an_access_token_and_is_paid_once(dlocal, sandbox):
    refused, _ = await dlocal.ask("POST", "/payouts/v3", a_payout("out"))
    _, first = await dlocal.payout(a_payout("out"), "key-out")
    _, again = await dlocal.payout(a_payout("out"), "key-out")
    status, other = await dlocal.payout(a_payout("out"), "key-out-2")

    assert 403 == refused
    assert ("PAID", "200") == (first["status"], first["status_code"])
    assert first == again
    assert (400, 5011) == (status, other["code"])
    assert [-1250] == await moved(sandbox, "out")


async def test_nobody_s_document_is_in_the_ledger(dlocal, sandbox):
    await dlocal.pay(a_payment("private"))
    await dlocal.payout(a_payout("private-out"))

    text = sandbox.ledger_path.read_text()

    assert "private" in text
    assert [] == [secret for secret in (CPF, "Maria", "maria@") if secret in text]
