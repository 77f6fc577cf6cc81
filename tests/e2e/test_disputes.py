"""A dispute's whole story over the mesh: told by webhooks, held, listed, booked."""

import time

import pytest

from cashier.payments.v1 import dispute_pb2, payment_service_pb2, payment_service_pb2_grpc
from cashier.recon.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from tests.support.mesh_client import MERCHANT, a_key, a_payment
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("books_agree")]

D = dispute_pb2.Dispute
MINOR = 1_200
PATIENCE_S = 60
PREARBITRATION = {"sandbox-stripe": D.STAGE_SECOND_CHARGEBACK, "sandbox-adyen": D.STAGE_ARBITRATION}


class Desk:
    """A dispute desk's and an accountant's view."""

    def __init__(self, whole_mesh) -> None:
        router, recon = (whole_mesh.channel(name, "operator") for name in ("router", "recon"))
        self.payments = payment_service_pb2_grpc.PaymentServiceStub(router)
        self.ledger = ledger_service_pb2_grpc.LedgerServiceStub(recon)

    def get(self, name):
        request = payment_service_pb2.GetDisputeRequest(merchant=MERCHANT, name=name)
        return self.payments.GetDispute(request, timeout=10)

    def listed(self, account, *states):
        request = payment_service_pb2.ListDisputesRequest(
            merchant=MERCHANT, processor_account=account, states=states, page_size=1_000
        )
        return {one.name for one in self.payments.ListDisputes(request, timeout=10).disputes}

    def books(self, payment):
        """The balance of each account that a payment has moved, and what moved them."""
        request = ledger_service_pb2.ListEntriesRequest(payment=payment, page_size=1_000)
        sums: dict[str, int] = {}
        entries = self.ledger.ListEntries(request, timeout=10).entries
        for entry in entries:
            sums[entry.account] = sums.get(entry.account, 0) + entry.amount.minor
        return sums, {entry.cause for entry in entries}


async def a_new_second():
    """Processors tell whole seconds: what happens in another one has another time."""
    now = int(time.time())

    async def passed():
        return int(time.time()) > now

    await until(passed, 5)


@pytest.mark.parametrize("account", ["sandbox-stripe", "sandbox-adyen"])
async def test_inquiry_chargeback_won_second_chargeback_lost(
    checkout, processors, whole_mesh, account
):
    desk = Desk(whole_mesh)
    payment = (await checkout.create(a_payment(account, minor=MINOR), a_key())).payment
    (charge,) = await processors.moves_of(payment.name)
    seen = []

    async def stands(stage, state, held):
        async def look():
            found = await checkout.get(payment.name)
            at = [(d.stage, d.state) for d in found.disputes]
            return found if at == [(stage, state)] and found.disputed_amount.minor == held else None

        found = await until(look, PATIENCE_S)
        seen.append(found.disputes[0].name)
        await a_new_second()

    dispute = await processors.ask_about(charge.move_id)
    await stands(D.STAGE_INQUIRY, D.STATE_OPEN, 0)
    await processors.go_on_with(dispute, "escalate")
    await stands(D.STAGE_CHARGEBACK, D.STATE_OPEN, MINOR)
    assert seen[0] in desk.listed(account, D.STATE_OPEN)
    await processors.go_on_with(dispute, "evidence")
    await stands(D.STAGE_CHARGEBACK, D.STATE_CHALLENGED, MINOR)
    await processors.go_on_with(dispute, "resolve", outcome="win")
    await stands(D.STAGE_CHARGEBACK, D.STATE_WON, 0)
    await processors.go_on_with(dispute, "escalate")
    opened = D.STATE_LOST if account == "sandbox-adyen" else D.STATE_OPEN
    await stands(D.STAGE_SECOND_CHARGEBACK, opened, MINOR)
    await processors.go_on_with(dispute, "resolve", outcome="lose")
    await stands(PREARBITRATION[account], D.STATE_LOST, MINOR)

    (name,) = set(seen)
    told = desk.get(name)
    assert told.withdrawn_amount.minor == MINOR
    assert sum(news.applied for news in told.news) >= 6
    assert name in desk.listed(account, D.STATE_LOST)
    assert name not in desk.listed(account, D.STATE_OPEN)
    moved = await processors.moved_of(charge.move_id)
    assert [MINOR, -MINOR, MINOR, -MINOR] == moved

    async def booked():
        sums, causes = desk.books(payment.name)
        return sums if "DISPUTE_LOST" in causes else None

    sums = await until(booked, PATIENCE_S)
    assert {"receivable": sum(moved), "chargebacks": 0, "merchant_payable": 0} == sums
