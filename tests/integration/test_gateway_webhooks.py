"""Webhooks over real HTTP, and how letters wait: what is the same for all adapters and of none."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.workers.inbox import JITTER
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import an_operation
from tests.support.gateway_webhooks import OTHER_STRIPE, STRIPE, hooks
from tests.support.notices import (
    a_reference,
    adyen_item,
    an_intent,
    stripe_event,
)
from tests.support.postgres_fixture import Copies, postgres

__all__ = ["hooks", "postgres"]


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


def event_id(item: dict[str, Any]) -> str:
    return f"{item['pspReference']}/{item['eventCode']}/{item['success']}"


async def test_a_pending_capture_ends_by_its_webhook_and_is_told(hooks):
    psp = a_reference()
    call = await hooks.call(State.PENDING, Kind.CAPTURE, reference=psp)

    status = await hooks.adyen(adyen_item("CAPTURE", call.operation, pspReference=psp))

    found = await hooks.stands(call)
    assert (200, State.SUCCEEDED) == (status, found.state)
    assert (Money(1250, "EUR"), 13) == (
        found.outcome.amount, found.outcome.settlement.expected_fee.minor,
    )  # fmt: skip
    [told] = await hooks.told(call)
    assert ("WEBHOOK", State.SUCCEEDED, psp) == (told.source, told.state, told.reference)


async def test_one_event_may_come_to_two_accounts(hooks):
    call = await hooks.call(State.IN_DOUBT, account=STRIPE)
    body = stripe_event("payment_intent.succeeded", an_intent(call.operation))

    await hooks.stripe(body, account=OTHER_STRIPE)
    await hooks.stripe(body)

    assert State.SUCCEEDED is (await hooks.stands(call)).state


async def test_news_of_a_call_that_is_under_way_waits_for_its_owner(hooks):
    psp = a_reference()
    call = await hooks.call(State.SUBMITTING)
    item = adyen_item("AUTHORISATION", call.operation, pspReference=psp)

    await hooks.adyen(item)
    early = await hooks.letters(event_id(item))
    await hooks.move(call, Event.LOSE_TRACK)
    await hooks.take()

    assert [("WAITING", "EARLY", 1)] == early
    assert [("DONE", "APPLIED", 2)] == await hooks.letters(event_id(item))
    assert State.SUCCEEDED is (await hooks.stands(call)).state


async def test_an_owner_and_a_webhook_at_once_write_one_answer(hooks):
    call = await hooks.call(State.SUBMITTING)
    psp = a_reference()
    await hooks.adyen(adyen_item("AUTHORISATION", call.operation, pspReference=psp), take=False)

    await asyncio.gather(hooks.move(call, Event.SUCCEED, psp), hooks.take())
    await hooks.take()

    assert (State.SUCCEEDED, 2) == ((found := await hooks.stands(call)).state, found.version)


async def test_what_is_never_answered_ends_among_the_dead(hooks):
    call = await hooks.call(State.SUBMITTING)
    item = adyen_item("AUTHORISATION", call.operation)
    await hooks.adyen(item)
    await hooks.rig.as_owner("UPDATE inbox SET tries = 19")

    await hooks.take()

    assert [("DEAD", "EARLY", 20)] == await hooks.letters(event_id(item))


async def test_each_try_waits_longer(hooks):
    call = await hooks.call(State.SUBMITTING)
    await hooks.adyen(adyen_item("AUTHORISATION", call.operation))
    pauses = []
    for tries in (1, 4, 9):
        await hooks.rig.as_owner("UPDATE inbox SET tries = $1", tries)
        await hooks.take()
        [row] = await hooks.rig.as_owner("SELECT next_at - settled_at AS pause FROM inbox")
        pauses.append(row["pause"].total_seconds())

    for longest, pause in zip((2, 16, 512), pauses, strict=True):
        assert (1 - JITTER) * longest <= pause <= longest


async def test_what_is_about_nothing_of_ours_is_kept(hooks):
    item, other = adyen_item("AUTHORISATION", "somebody-else"), adyen_item("REPORT_AVAILABLE", "")

    await hooks.adyen(item, other)

    assert [("DONE", "UNMATCHED", 1)] == await hooks.letters(event_id(item))
    assert [("DONE", "NOTHING", 1)] == await hooks.letters(event_id(other))


async def test_the_inbox_keeps_facts_and_no_bodies(hooks):
    call = await hooks.call(State.PENDING, Kind.CAPTURE)
    extra = {"shopperEmail": "somebody@example.com", "cardHolderName": "S. Body"}

    await hooks.adyen(adyen_item("CAPTURE", call.operation, additionalData=extra))

    [row] = await hooks.rig.as_owner("SELECT notice::text AS kept, body_hash FROM inbox")
    assert "somebody" not in row["kept"]
    assert "Body" not in row["kept"]
    assert 32 == len(row["body_hash"])


async def test_a_void_that_ends_by_webhook_closes_what_was_waiting(hooks):
    payment = a_reference()
    waiting = await hooks.call(State.ACTION_REQUIRED, reference=payment, operation=an_operation())
    void = await hooks.call(
        State.PENDING, Kind.VOID, target=waiting.operation, authorization_reference=payment,
        reference=(psp := a_reference()),
    )  # fmt: skip
    whole = {"currency": "EUR", "value": 99_999}  # Adyen tells the payment's amount

    await hooks.adyen(
        adyen_item("CANCELLATION", void.operation, pspReference=psp,
                   originalReference=payment, amount=whole)
    )  # fmt: skip

    assert State.SUCCEEDED is (await hooks.stands(void)).state
    assert State.EXPIRED is (await hooks.stands(waiting)).state
