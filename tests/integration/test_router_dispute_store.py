"""Disputes on real PostgreSQL: found by their deadline, and never more away than was taken."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from cashier.payments.v1 import dispute_pb2, payment_service_pb2
from cashier_common.errors import FieldInvalid, Refusal, ResourceNotFound
from cashier_common.money import Money
from cashier_common.rpc.paging import Pager
from cashier_common.tasks import TaskGroup
from cashier_router.domain.attention import Attention, attention
from cashier_router.domain.commands import RefundPayment
from cashier_router.domain.follow_up import plan
from cashier_router.domain.lifecycle import OperationEvent
from cashier_router.domain.progress import Outcome, answer
from cashier_router.flows.apply_outcome import apply_outcome
from cashier_router.flows.ports import DisputeFilter, LateOutcome
from cashier_router.rpc.payment_servicer import PaymentServicer
from tests.support.router_book import ACTOR, LEASE_S
from tests.support.router_values import disputed

pytest_plugins = ["tests.support.router_book_fixture"]

FRIDAY = datetime(2026, 3, 6, 17, tzinfo=UTC)
D = dispute_pb2.Dispute
REFUNDS = 100
PART_MINOR = 100  # so many of these are all that was taken


async def captured(shelf, *accounts):
    payment = await shelf.put(*accounts)
    after, step = answer(
        payment, 1, Outcome(OperationEvent.SUCCEED), at=shelf.world.clock.now(), may_go_on=False
    )
    async with shelf.store.begin() as book:
        book.move(payment, after, step, ACTOR, lease_s=LEASE_S)
    return after


async def tell(shelf, payment, word, position=1):
    late = LateOutcome(
        rail="gateway", shard=position, position=position, merchant=payment.merchant,
        payment=payment.name, later=word, source="webhook", traceparent="",
    )  # fmt: skip
    return await apply_outcome(late, ACTOR, shelf.world, seen=0)


@pytest.fixture
async def desk(shelf):
    """Five disputes: due before, on and after Friday, without a deadline, and already lost."""
    words = [
        {"due": FRIDAY - timedelta(days=400)},
        {"due": FRIDAY - timedelta(hours=1), "stage": "inquiry", "withdrawn": False},
        {"due": FRIDAY},
        {},
        {"due": FRIDAY - timedelta(days=2), "state": "lost"},
    ]
    shelf.payments = []
    for place, word in enumerate(words, start=1):
        account = "sandbox-eu" if place == 2 else "sandbox-us"
        payment = await captured(shelf, account)
        await tell(
            shelf, payment, disputed(reference=f"dp_{place}", account=account, **word), place
        )
        shelf.payments.append(payment)
    shelf.servicer = PaymentServicer(shelf.world, Pager(b"k" * 32), TaskGroup())
    return shelf


async def listed(desk, **fields):
    request = payment_service_pb2.ListDisputesRequest(**fields)
    answer = await desk.servicer.ListDisputes(request, None)
    return [dispute.processor_reference for dispute in answer.disputes], answer


async def test_a_desk_sees_what_needs_evidence_by_friday_and_what_is_overdue(desk):
    friday = Timestamp()
    friday.FromDatetime(FRIDAY)

    names, answer = await listed(desk, evidence_due_before_time=friday)

    assert ["dp_1", "dp_2"] == names
    assert [True, True] == [dispute.evidence_overdue for dispute in answer.disputes]
    assert [10_000, 0] == [dispute.withdrawn_amount.minor for dispute in answer.disputes]


async def test_disputes_come_by_deadline_page_by_page_each_once(desk):
    seen, token = [], ""
    while True:
        names, answer = await listed(desk, merchant="acme-games", page_size=2, page_token=token)
        seen += names
        token = answer.next_page_token
        if not token:
            break

    assert ["dp_1", "dp_5", "dp_2", "dp_3", "dp_4"] == seen


async def test_disputes_are_listed_by_what_is_asked_for(desk):
    assert ["dp_5"] == (await listed(desk, states=[D.STATE_LOST]))[0]
    assert ["dp_2"] == (await listed(desk, stages=[D.STAGE_INQUIRY]))[0]
    assert ["dp_2"] == (await listed(desk, processor_account="sandbox-eu"))[0]
    assert [] == (await listed(desk, merchant="nobody"))[0]
    with pytest.raises(FieldInvalid):
        await listed(desk, states=[D.STATE_UNSPECIFIED])


async def test_one_dispute_is_shown_with_all_that_was_told(desk):
    payment = desk.payments[0]
    await tell(
        desk, payment, disputed(reference="dp_1", state="won", withdrawn=False, after_s=9), 9
    )
    await tell(desk, payment, disputed(reference="dp_1", stage="inquiry", after_s=10), 10)
    (dispute,) = (await desk.found(payment)).disputes
    name = payment.dispute_name(dispute)

    request = payment_service_pb2.GetDisputeRequest(merchant=payment.merchant, name=name)
    shown = await desk.servicer.GetDispute(request, None)

    assert (D.STATE_WON, D.STAGE_CHARGEBACK, 0) == (
        shown.state, shown.stage, shown.withdrawn_amount.minor,
    )  # fmt: skip
    assert [True, True, False] == [news.applied for news in shown.news]
    assert "dp_1" not in (await listed(desk, states=[D.STATE_OPEN]))[0]
    for wrong, refusal in [("payments/x", FieldInvalid), (f"{name[:-1]}2", ResourceNotFound)]:
        request.name = wrong
        with pytest.raises(refusal):
            await desk.servicer.GetDispute(request, None)


async def test_a_hundred_refunds_and_a_chargeback_never_take_more_than_there_was(shelf):
    payment = await captured(shelf)

    gate = asyncio.Semaphore(12)  # the pool has no more connections for all at once

    async def refund(number):
        async with gate:
            await asked_for(number)

    async def asked_for(number):
        command = RefundPayment(
            merchant=payment.merchant, key=f"refund-{number:010}", payment=payment.name,
            amount=Money(PART_MINOR, "USD"), reason="",
        )  # fmt: skip
        async with shelf.store.begin() as book:
            locked = await book.lock(payment.merchant, payment.name)
            after, step, _ = plan(locked, command, shelf.world.clock.now())
            book.move(locked, after, step, ACTOR, lease_s=LEASE_S)

    refunds = [refund(number) for number in range(REFUNDS)]
    results = await asyncio.gather(
        *refunds[:60], tell(shelf, payment, disputed(6_000)), *refunds[60:],
        return_exceptions=True,
    )  # fmt: skip

    found = await shelf.found(payment)
    refused = [result for result in results if isinstance(result, BaseException)]
    amounts = found.amounts
    assert all(isinstance(result, Refusal) for result in refused), refused
    assert REFUNDS - len(refused) == len(found.operations) - 1
    assert amounts.refund_reserved == PART_MINOR * (REFUNDS - len(refused))
    assert 10_000 == amounts.refund_reserved + amounts.disputed
    is_short = amounts.disputed < 6_000
    assert is_short is (Attention.DISPUTE_EXCEEDS in attention(found))
    people = await shelf.store.in_doubt(None, after=None, count=9)
    assert is_short is (found.name in {one.name for one in people})
    ((_, dispute),) = await shelf.store.disputes(DisputeFilter(), after=None, count=9)
    assert 6_000 == dispute.away
