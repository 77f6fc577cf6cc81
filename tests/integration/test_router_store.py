"""The router's rows on real PostgreSQL: leases, guards, bounds, questions and reviews."""

import asyncio
from dataclasses import replace

import pytest

from cashier_router.domain.afterwards import Later, News, hear
from cashier_router.domain.commands import CancelPayment, RefundPayment
from cashier_router.domain.follow_up import plan
from cashier_router.domain.lifecycle import OperationEvent, OperationState, PaymentState
from cashier_router.domain.opening import Step
from cashier_router.domain.progress import Outcome, RiskDecision, answer
from cashier_router.domain.review import Reviewed, Ruling
from cashier_router.flows.apply_decision import apply_decision
from cashier_router.flows.apply_outcome import apply_outcome
from cashier_router.flows.ports import (
    RISK_STREAM,
    BoundsBrokenError,
    CaseDecision,
    LateOutcome,
    MovedOnError,
)
from tests.support.router_book import ACTOR, LEASE_S

pytest_plugins = ["tests.support.router_book_fixture"]

E, S = OperationEvent, OperationState


async def write(shelf, before, after, step):
    async with shelf.store.begin() as book:
        book.move(before, after, step, ACTOR, lease_s=LEASE_S)
    return after


async def answered(shelf, payment, event, number=1):
    after, step = answer(
        payment, number, Outcome(event), at=shelf.world.clock.now(), may_go_on=False
    )
    return await write(shelf, payment, after, step)


def a_decision(payment, ruling=Ruling.APPROVED, position=1):
    return CaseDecision(
        shard=0, position=position, merchant=payment.merchant, payment=payment.name,
        reviewed=Reviewed("cases/case_1", ruling),
    )  # fmt: skip


async def test_what_was_written_is_read_back_as_it_was(shelf):
    payment = await shelf.put("sandbox-us", "sandbox-global")
    after = await answered(shelf, payment, E.SUCCEED)

    assert after == await shelf.found(payment)


async def test_a_sender_whose_lease_was_taken_over_writes_nothing(shelf):
    payment = await shelf.put()
    await shelf.lapse()
    (taken,) = await shelf.store.take_expired_leases(10, LEASE_S)

    with pytest.raises(MovedOnError):
        await answered(shelf, payment, E.SUCCEED)
    done = await answered(shelf, taken.payment, E.DECLINE_HARD)

    assert (1, 2) == (payment.operation(1).lease_epoch, taken.payment.operation(1).lease_epoch)
    assert S.DECLINED_HARD is (await shelf.found(done)).operation(1).state


async def test_replicas_never_take_the_same_operation(shelf):
    payments = [await shelf.put() for _ in range(8)]
    await shelf.lapse()

    rounds = await asyncio.gather(*(shelf.store.take_expired_leases(3, LEASE_S) for _ in range(4)))

    names = [taken.payment.name for found in rounds for taken in found]
    assert len(names) == len(set(names))
    assert set(names) <= {payment.name for payment in payments}


async def test_a_doubt_is_asked_about_when_it_is_due_and_not_before(shelf):
    doubt = await answered(shelf, await shelf.put(), E.LOSE_TRACK)
    early = await shelf.store.take_due_questions(10, per_account=10, lease_s=LEASE_S)
    await shelf.lapse()

    due = await shelf.store.take_due_questions(10, per_account=10, lease_s=LEASE_S)
    again = await shelf.store.take_due_questions(10, per_account=10, lease_s=LEASE_S)
    await shelf.store.plan_question(doubt, doubt.operation(1), 30)

    assert ([], [(doubt.name, 1)], []) == (early, [(t.payment.name, t.number) for t in due], again)
    assert 1 == (await shelf.found(doubt)).operation(1).asks


async def test_one_account_does_not_fill_a_round_of_questions(shelf):
    for account in ["dead"] * 5 + ["alive"]:
        await answered(shelf, await shelf.put(account), E.LOSE_TRACK)
    await shelf.lapse()

    taken = await shelf.store.take_due_questions(10, per_account=2, lease_s=LEASE_S)

    assert ["alive", "dead", "dead"] == sorted(t.payment.operation(1).account for t in taken)


async def test_the_table_itself_refuses_a_refund_beyond_the_capture(shelf):
    """The rules are right or the database says no: an amount is never a matter of trust."""
    payment = await answered(shelf, await shelf.put(), E.SUCCEED)
    command = RefundPayment(
        merchant=payment.merchant, key="k" * 16, payment=payment.name, amount=None, reason=""
    )
    first, step, _ = plan(payment, command, shelf.world.clock.now())
    too_much = replace(first, amounts=replace(first.amounts, refund_reserved=10_001))

    with pytest.raises(BoundsBrokenError):
        await write(shelf, payment, too_much, step)

    assert payment == await shelf.found(payment)


async def test_wishes_about_one_payment_queue_up_at_its_row(shelf):
    payment = await answered(shelf, await shelf.put(), E.SUCCEED)
    seen = []

    async def note(number):
        async with shelf.store.begin() as book:
            locked = await book.lock(payment.merchant, payment.name)
            seen.append(locked.version)
            after = replace(locked, version=locked.version + 1)
            book.move(locked, after, Step(f"NOTE_{number}", "", None), ACTOR, lease_s=0)

    await asyncio.gather(*(note(number) for number in range(5)))

    assert list(range(payment.version, payment.version + 5)) == seen


async def test_an_approved_review_is_promised_and_a_worker_sends_it(shelf):
    payment = await shelf.put(risk=RiskDecision.REVIEW)

    await apply_decision(a_decision(payment), ACTOR, shelf.world, seen=0)
    await shelf.lapse()
    (taken,) = await shelf.store.take_expired_leases(10, LEASE_S)

    assert PaymentState.IN_REVIEW is payment.state
    assert (payment.name, S.SUBMITTING) == (taken.payment.name, taken.payment.operation(1).state)
    assert ["sandbox-us"] == [c.account for c in taken.payment.decision.plan]
    assert 1 == await shelf.store.cursor(RISK_STREAM, 0)


async def test_a_declined_review_rejects_and_sends_nothing(shelf):
    payment = await shelf.put(risk=RiskDecision.REVIEW)

    await apply_decision(a_decision(payment, Ruling.DECLINED), ACTOR, shelf.world, seen=0)

    found = await shelf.found(payment)
    assert (PaymentState.REJECTED, ()) == (found.state, found.operations)
    assert "RISK_DECLINED" == found.failure.meaning


async def test_a_review_that_ends_after_the_cancellation_changes_nothing(shelf):
    payment = await shelf.put(risk=RiskDecision.REVIEW)
    command = CancelPayment(
        merchant=payment.merchant, key="k" * 16, payment=payment.name, reason="changed his mind"
    )
    canceled, step, _ = plan(payment, command, shelf.world.clock.now())
    await write(shelf, payment, canceled, step)

    await apply_decision(a_decision(payment), ACTOR, shelf.world, seen=0)

    found = await shelf.found(payment)
    assert (PaymentState.CANCELED, ()) == (found.state, found.operations)


async def test_two_replicas_apply_a_decision_once(shelf):
    payment = await shelf.put(risk=RiskDecision.REVIEW)

    results = await asyncio.gather(
        *(apply_decision(a_decision(payment), ACTOR, shelf.world, seen=0) for _ in range(3)),
        return_exceptions=True,
    )

    assert 2 == sum(isinstance(result, MovedOnError) for result in results)
    assert 1 == len((await shelf.found(payment)).operations)


async def test_a_word_that_breaks_the_bounds_is_kept_and_holds_up_nobody(shelf, monkeypatch):
    """Whatever the rules got wrong, the shard's other payments hear from their rails."""
    payment = await answered(shelf, await shelf.put(), E.LOSE_TRACK)

    def wrong(payment, later, at):
        heard = hear(payment, later, at)
        amounts = replace(heard.payment.amounts, refunded=10_001)
        return replace(heard, payment=replace(heard.payment, amounts=amounts))

    monkeypatch.setattr("cashier_router.flows.apply_outcome.hear", wrong)
    word = Later(News.OUTCOME, 1, Outcome(E.SUCCEED))
    late = LateOutcome(
        rail="gateway", shard=0, position=7, merchant=payment.merchant, payment=payment.name,
        later=word, source="webhook", traceparent="",
    )  # fmt: skip

    await apply_outcome(late, ACTOR, shelf.world, seen=0)

    assert replace(payment, version=payment.version + 1) == replace(
        await shelf.found(payment), update_time=payment.update_time
    )
    assert 7 == await shelf.store.cursor("gateway", 0)


async def test_what_needs_a_person_is_listed_oldest_first_and_page_by_page(shelf):
    doubts = [await answered(shelf, await shelf.put(), E.LOSE_TRACK) for _ in range(3)]
    await answered(shelf, await shelf.put(), E.SUCCEED)

    first = await shelf.store.in_doubt(None, after=None, count=2)
    last = first[-1]
    second = await shelf.store.in_doubt(
        [last.merchant], after=(last.create_time, last.merchant, last.name), count=2
    )

    assert [d.name for d in doubts] == [p.name for p in first + second]
    assert [] == await shelf.store.in_doubt(["nobody"], after=None, count=2)
