"""Bank debits and instant payouts behind the whole mesh: files, settlement, returns, the books."""

import pytest

from cashier.common.v1 import instrument_pb2
from cashier.payments.v1 import payment_pb2
from cashier.recon.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from tests.support.bank_files import ROUTING
from tests.support.mesh_client import a_key, a_payment, a_payout
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("books_agree")]

Operation = payment_pb2.Operation
BANK = "sandbox-bank"
MINOR = 1_700
# A file every two seconds, a settlement time every five, on a machine that does much else.
PATIENCE_S = 60


async def bank_token(processors, number):
    accounts = (await processors._sandbox_get("/control/accounts"))["accounts"]
    port = next(known["port"] for known in accounts if known["name"] == BANK)
    async with processors._session.post(
        f"http://127.0.0.1:{port}/v1/bank_tokens",
        json={"routing_number": ROUTING, "account_number": number},
        headers={"Authorization": "Bearer sk_sandbox_bank"},
    ) as response:
        return (await response.json())["token"]


async def moved(processors, payment):
    """What really moved at the bank, what it took back included."""
    ledger = await processors._entries("true")
    return [e["moved"] for e in ledger if (e["reference"] or "").startswith(payment.name)]


def by(method, request):
    request.instrument.method = method
    request.instrument.brand = ""
    return request


def stands(payment):
    return [
        (Operation.Kind.Name(o.kind)[5:], Operation.State.Name(o.state)[6:])
        for o in payment.operations
    ]


async def standing(checkout, payment, *expected):
    async def look():
        found = await checkout.get(payment.name)
        return found if stands(found) == list(expected) else None

    return await until(look, PATIENCE_S)


def causes(whole_mesh, payment):
    """What the journal says of a payment: the sum of each account, and why."""
    stub = ledger_service_pb2_grpc.LedgerServiceStub(whole_mesh.channel("recon", "operator"))
    request = ledger_service_pb2.ListEntriesRequest(payment=payment, page_size=1_000)
    entries = stub.ListEntries(request, timeout=10).entries
    return {entry.cause for entry in entries}, sum(entry.amount.minor for entry in entries)


async def test_a_debit_that_comes_back_after_it_settled_ends_in_a_reversal_and_its_entries(
    checkout, processors, whole_mesh
):
    token = await bank_token(processors, "00077291")
    request = by(instrument_pb2.PAYMENT_METHOD_ACH, a_payment(BANK, token, minor=MINOR))

    created = (await checkout.create(request, a_key())).payment
    done = await standing(checkout, created, ("AUTHORIZE", "SUCCEEDED"), ("REVERSAL", "SUCCEEDED"))

    async def booked():
        found, left = causes(whole_mesh, done.name)
        return (found, left) if "PAYMENT_REVERSED" in found else None

    found, left = await until(booked, PATIENCE_S)
    assert [("AUTHORIZE", "PENDING")] == stands(created)
    assert [MINOR, -MINOR] == await moved(processors, done)
    assert 0 == left, found


async def test_a_debit_that_is_returned_in_place_of_settling_fails(checkout, processors):
    token = await bank_token(processors, "00077010")
    request = by(instrument_pb2.PAYMENT_METHOD_ACH, a_payment(BANK, token, minor=MINOR))

    created = (await checkout.create(request, a_key())).payment
    done = await standing(checkout, created, ("AUTHORIZE", "DECLINED_HARD"))

    assert "R01" == done.operations[0].processor_code
    assert [] == await processors.moves_of(done.name)


async def test_an_instant_payout_is_there_at_once(checkout, processors):
    token = await bank_token(processors, "000123987")
    request = by(instrument_pb2.PAYMENT_METHOD_RTP, a_payout(BANK, token, minor=MINOR))

    paid = await checkout.payout(request, a_key())

    assert [("PAYOUT", "SUCCEEDED")] == stands(paid)
    assert [-MINOR] == [move.minor for move in await processors.moves_of(paid.name)]
