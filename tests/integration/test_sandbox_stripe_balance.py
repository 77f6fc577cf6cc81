"""What Stripe's balance sees: disputes, payouts, what fails at the bank, settlements, units."""

import csv
import io
from typing import Any

import pytest

from tests.support.sandbox_stripe import (
    a_payment,
    control,
    keyed,
    moved,
    refused,
    running_stripe,
    stripe_client,
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture
async def api(sandbox) -> Any:
    async with stripe_client(sandbox) as client:
        yield client.v1


async def test_what_fails_at_the_bank_comes_back(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/returned"))
    refund = await api.refunds.create_async({"payment_intent": paid.id, "amount": 500})
    await control(sandbox, f"/control/refunds/{refund.id}/fail")

    failed = await api.refunds.retrieve_async(refund.id)

    assert ("failed", True) == (failed.status, failed.failure_balance_transaction is not None)
    assert [1250, -500, 500] == await moved(sandbox, "op/returned")
    told = await api.events.list_async({"type": "refund.failed"})
    assert refund.id in {event.data.object["id"] for event in told.data}
    await api.refunds.create_async({"payment_intent": paid.id, "amount": 1250})


async def test_a_dispute_withdraws_the_money_and_a_won_one_gives_it_back(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/dispute"))
    before = (await api.balance.retrieve_async()).available[0].amount

    await control(sandbox, f"/control/charges/{paid.latest_charge}/chargeback")
    [dispute] = (await api.disputes.list_async({"payment_intent": paid.id})).data
    withdrawn = (await api.balance.retrieve_async()).available[0].amount
    blocked = await refused(api.refunds.create_async({"payment_intent": paid.id}))
    await api.disputes.update_async(
        dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}}
    )
    won = await api.disputes.retrieve_async(dispute.id)

    assert ("needs_response", 1250) == (dispute.status, dispute.amount)
    assert [(-1250, 1500)] == [(one.amount, one.fee) for one in dispute.balance_transactions]
    assert before - 1250 - 1500 == withdrawn
    assert "charge_disputed" == blocked.code
    assert ("won", [-1250, 1250]) == (won.status, [one.amount for one in won.balance_transactions])
    assert before - 1500 == (await api.balance.retrieve_async()).available[0].amount
    assert "already closed" in (await refused(api.disputes.close_async(dispute.id))).message


async def test_an_accepted_dispute_is_lost(api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/accepted"))
    await control(sandbox, f"/control/charges/{paid.latest_charge}/chargeback", {"amount": 400})
    [dispute] = (await api.disputes.list_async({"charge": paid.latest_charge})).data

    closed = await api.disputes.close_async(dispute.id)

    assert "lost" == closed.status
    assert [1250, -400] == await moved(sandbox, "op/accepted")
    await api.refunds.create_async({"payment_intent": paid.id, "amount": 850})


async def test_amounts_are_in_stripes_units_and_the_ledger_keeps_its_own(api, sandbox):
    for currency, theirs, ours in (("jpy", 500, 500), ("isk", 50_000, 500), ("kwd", 1250, 1250)):
        operation = f"op/{currency}"
        paid = await api.payment_intents.create_async(
            a_payment(operation, currency=currency, amount=theirs)
        )
        assert (theirs, currency) == (paid.amount_received, paid.currency)
        assert [ours] == await moved(sandbox, operation)
    odd = await refused(
        api.payment_intents.create_async(a_payment("op/odd", currency="isk", amount=50_001))
    )
    assert "amount" == odd.param


async def test_a_payout_leaves_and_a_refused_one_does_not(api, sandbox):
    params = {"amount": 400, "currency": "eur", "method": "instant"}
    there = {"destination": "tok_ok.jane", "metadata": {"cashier_operation": "op/payout"}}
    nowhere = {
        "destination": "tok_decline_invalid_account",
        "metadata": {"cashier_operation": "op/nowhere"},
    }

    paid = await api.payouts.create_async(params | there, keyed("payout"))
    again = await api.payouts.create_async(params | there, keyed("payout"))
    failed = await api.payouts.create_async(params | nowhere)
    unknown = await refused(api.payouts.create_async(params | {"destination": "ba_nobody"}))

    assert ("paid", paid.id) == (paid.status, again.id)
    assert ("failed", "no_account") == (failed.status, failed.failure_code)
    assert "resource_missing" == unknown.code
    assert [-400] == await moved(sandbox, "op/payout")
    assert [] == await moved(sandbox, "op/nowhere")


async def test_the_settlement_file_and_the_api_tell_the_same(api, sandbox):
    await api.payment_intents.create_async(a_payment("op/settled"))
    settled = await control(sandbox, "/control/accounts/stripe/settlements")
    async with sandbox.control() as client:
        path = f"/control/accounts/stripe/settlements/{settled['id']}/file"
        rows = list(csv.DictReader(io.StringIO((await client.get(path)).decode())))

    told = []
    for payout in settled["payouts"].values():
        params = {"payout": payout, "limit": 100}
        told += (await api.balance_transactions.list_async(params)).data

    assert {(row["id"], row["source"], int(row["net"])) for row in rows} == {
        (line.id, line.source, line.net)
        for line in told
        if line.currency != "isk"  # the file counts in the ledger's units
    } | {(line.id, line.source, line.net // 100) for line in told if line.currency == "isk"}
    assert {"charge", "payout"} <= {line.type for line in told}


async def test_lists_are_newest_first_and_paged(api):
    made = [
        (await api.payment_intents.create_async(a_payment(f"op/list-{n}", customer="cus_l"))).id
        for n in range(5)
    ]

    first = await api.payment_intents.list_async({"customer": "cus_l", "limit": 2})
    paged = [intent.id async for intent in first.auto_paging_iter()]
    before = await api.payment_intents.list_async({"ending_before": made[0], "limit": 3})
    none = await api.payment_intents.list_async({"customer": "cus_l", "created": {"lt": 5}})

    assert made[::-1] == paged
    assert (made[1:4][::-1], True) == ([one.id for one in before.data], before.has_more)
    assert [] == none.data
