"""What operators do to letters, on the record, and how the inbox forgets."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cashier_common.clock import SystemClock
from cashier_common.db.verify import verify
from cashier_common.errors import (
    EtagMismatch,
    IdempotencyKeyReused,
    ResourceNotFound,
    TransitionRefused,
)
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.handle_notice import HandleNotice, Verb, handle_notice
from cashier_gateway.flows.notice_desk import (
    DOUBTFUL_FACTS_LIFE,
    FACTS_LIFE,
    Filter,
    KeptLetter,
    due_of,
    key_life,
    name_of,
)
from cashier_gateway.flows.notice_ports import Due, InboxState
from cashier_gateway.storage.notice_desk import NoticeDesk
from cashier_gateway.workers.inbox_keeper import InboxKeeper
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import ORIGIN
from tests.support.gateway_webhooks import ADYEN, Hooks, hooks
from tests.support.notices import a_reference, adyen_body, adyen_item
from tests.support.postgres_fixture import Copies, postgres

__all__ = ["hooks", "postgres"]
KEY = "a-key-of-an-operator"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


@pytest.fixture
def desk(hooks: Hooks) -> NoticeDesk:
    return NoticeDesk(hooks.rig.database)


def due_to(item: dict[str, Any]) -> Due:
    return Due(ADYEN, f"{item['pspReference']}/{item['eventCode']}/{item['success']}")


async def decided(
    hooks: Hooks, letter: KeptLetter, verb: Verb = Verb.REPROCESS, **changes: Any
) -> KeptLetter:
    command = HandleNotice(
        verb=verb, name=letter.name, operator="ann", reason="a test", etag=letter.etag, key=KEY
    )
    desk = NoticeDesk(hooks.rig.database)
    return await handle_notice(replace(command, **changes), desk, ORIGIN, hooks.postman.take_now)


async def unmatched(hooks: Hooks, desk: NoticeDesk) -> tuple[KeptLetter, dict[str, Any]]:
    """A letter about a capture that nobody knows yet."""
    item = adyen_item("CAPTURE", f"payments/pay_{a_reference().lower()}/operations/2")
    await hooks.adyen(item)
    letter = await desk.find(due_to(item))
    assert letter is not None
    assert ("DONE", "UNMATCHED") == (letter.state, letter.result)
    return letter, item


async def test_what_was_about_nothing_is_taken_again_at_once_and_once(hooks, desk):
    letter, item = await unmatched(hooks, desk)
    call = await hooks.call(
        State.PENDING, Kind.CAPTURE, operation=item["merchantReference"],
        reference=item["pspReference"],
    )  # fmt: skip

    after = await decided(hooks, letter, key=KEY + call.operation)
    again = await decided(hooks, letter, key=KEY + call.operation)

    assert ("DONE", "APPLIED") == (after.state, after.result)
    assert after == again
    assert State.SUCCEEDED is (await hooks.stands(call)).state
    assert 1 == len(await hooks.told(call))
    steps = await hooks.rig.as_owner(
        "SELECT action, actor FROM steps WHERE subject = $1", letter.name
    )
    assert [("REPROCESS", ORIGIN.actor)] == [tuple(step) for step in steps]
    assert () == tuple((await verify(hooks.rig.database)).findings)


async def test_a_dead_letter_lives_again(hooks, desk):
    call = await hooks.call(State.SUBMITTING)
    item = adyen_item("AUTHORISATION", call.operation)
    await hooks.adyen(item, take=False)
    await hooks.rig.as_owner("UPDATE inbox SET tries = 19")
    await hooks.take()
    [dead] = await desk.page(Filter(state="DEAD", account=ADYEN), None, 10)

    early = await decided(hooks, dead, key="first-of-two-keys")
    again = await decided(hooks, early, key="second-of-two-keys")

    assert ("WAITING", "EARLY", 1, 1) == (early.state, early.result, early.tries, early.version)
    assert ("WAITING", "EARLY", 1, 2) == (again.state, again.result, again.tries, again.version)


async def test_what_is_dismissed_is_left_alone_and_may_be_taken_up_again(hooks, desk):
    letter, _ = await unmatched(hooks, desk)

    aside = await decided(hooks, letter, Verb.DISMISS, key="key-of-a-dismissal")
    with pytest.raises(TransitionRefused):
        await decided(hooks, aside, Verb.DISMISS, key="key-of-another-one")
    back = await decided(hooks, aside, key="key-of-a-change-of-mind")

    assert ("DONE", "DISMISSED") == (aside.state, aside.result)
    assert ("DONE", "UNMATCHED") == (back.state, back.result)


async def test_a_decision_needs_todays_etag_its_own_key_and_something_left_to_decide(hooks, desk):
    letter, _ = await unmatched(hooks, desk)
    item = adyen_item("REPORT_AVAILABLE", "")
    await hooks.adyen(item)
    settled = await desk.find(due_to(item))

    with pytest.raises(EtagMismatch):
        await decided(hooks, letter, etag="0-0-WAITING", key="key-of-an-old-page")
    with pytest.raises(TransitionRefused):
        await decided(hooks, settled, key="key-of-a-settled-one")
    for name in ("notices/nobody/x", "notices/", "accounts/x", f"{letter.name}/more"):
        with pytest.raises(ResourceNotFound):
            await decided(hooks, letter, name=name, key="key-of-a-wrong-name")
    await decided(hooks, letter, key="key-that-is-used-twice")
    with pytest.raises(IdempotencyKeyReused):
        await decided(hooks, letter, reason="another", key="key-that-is-used-twice")


async def test_pages_go_from_the_newest_to_the_oldest_without_a_gap(hooks, desk):
    items = [adyen_item("REPORT_AVAILABLE", f"op-{number % 2}") for number in range(7)]
    await hooks.post(ADYEN, adyen_body(*items))
    await hooks.rig.as_owner("UPDATE inbox SET received_at = '2026-01-01T00:00:00Z'")
    after, seen = None, []
    while page := await desk.page(Filter(account=ADYEN), after, 3):
        seen += [letter.due for letter in page]
        last = page[-1]
        after = (last.received_at, last.due.account, last.due.event_id)

    assert {due_to(item) for item in items} == set(seen)
    assert sorted(seen, key=lambda due: due.event_id, reverse=True) == seen
    assert all(due_of(name_of(due)) == due for due in seen)
    assert [] == await desk.page(Filter(account="nobody"), None, 3)


async def test_facts_go_first_and_names_only_when_nobody_can_send_again(hooks, desk):
    letter, item = await unmatched(hooks, desk)
    plain = adyen_item("REPORT_AVAILABLE", "")
    await hooks.adyen(plain)
    waiting = adyen_item("AUTHORISATION", (await hooks.call(State.SUBMITTING)).operation)
    await hooks.adyen(waiting)
    keeper = InboxKeeper(desk, hooks.rig.terminals, SystemClock())

    async def after(age: timedelta) -> list[tuple[bool, bool]]:
        """Of each letter at this age: is it there, has it facts."""
        await hooks.rig.as_owner(
            "UPDATE inbox SET (received_at, settled_at)"
            " = (now() - $1::interval, now() - $1::interval)",
            age,
        )
        await keeper.step()
        found = [await desk.find(due_to(one)) for one in (plain, item, waiting)]
        return [(one is not None, one is not None and one.notice is not None) for one in found]

    young = await after(FACTS_LIFE - HOUR)
    week = await after(FACTS_LIFE + HOUR)
    month = await after(DOUBTFUL_FACTS_LIFE + HOUR)
    again = await hooks.post(ADYEN, adyen_body(plain))
    still = await desk.find(due_to(plain))
    late = await after(key_life("adyen") + HOUR)

    assert [(True, True)] * 3 == young
    assert [(True, False), (True, True), (True, True)] == week
    assert [(True, False), (True, False), (True, True)] == month
    assert (200, None) == (again, still.notice)  # a second one like it is known still
    assert [(False, False), (False, False), (True, True)] == late
    with pytest.raises(ResourceNotFound):
        await decided(hooks, letter, key="key-of-what-is-gone")


async def test_what_waits_and_what_is_dead_is_counted_with_its_age(hooks, desk):
    for age in (10, 30):
        await hooks.adyen(
            adyen_item("AUTHORISATION", (await hooks.call(State.SUBMITTING)).operation)
        )
        await hooks.rig.as_owner(
            "UPDATE inbox SET received_at = now() - make_interval(secs => $1)"
            " WHERE received_at > now() - interval '5 s'",
            age,
        )
    keeper = InboxKeeper(desk, hooks.rig.terminals, SystemClock())

    await keeper.step()

    counts = {one.attributes["state"]: one.value for one in keeper.counts(None)}
    ages = {one.attributes["state"]: one.value for one in keeper.ages(None)}
    assert {InboxState.WAITING: 2, InboxState.DEAD: 0} == counts
    assert 30 <= ages["WAITING"] < 45
    assert 0 == ages["DEAD"]
