"""What every adapter owes to the law, whichever processor it speaks to; the ledger is the judge."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from cashier_common.money import Money
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.declines import RETRYABLE, Category
from cashier_gateway.domain.lifecycle import Event
from tests.support.processor_stands import FORMS, MOVES, STANDS, Bench, accounts_yaml
from tests.support.sandbox_process import Sandbox
from tests.support.wire import Wire

of_each_kind = pytest.mark.parametrize(("bench", "kind"), FORMS, indirect=["bench"])
SMALL = {"EUR": 1999, "JPY": 1999, "KWD": 19_990, "USD": 1999}
AMOUNTS = [
    pytest.param(
        stand, kind, amount := Money(SMALL[asset], asset), id=f"{stand.name}-{kind}-{amount}"
    )
    for stand in STANDS
    for kind in stand.kinds
    for asset in stand.assets
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    process = Sandbox(folder)
    (folder / "accounts.yaml").write_text(accounts_yaml())
    process.start()
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture(params=STANDS, ids=lambda stand: stand.name)
async def bench(request, sandbox: Sandbox) -> AsyncIterator[Bench]:
    opened = Bench(request.param, sandbox)
    yield opened
    async with sandbox.control() as control:
        await control.post("/control/reset")
    await opened.close()


@pytest.mark.some(20)
@of_each_kind
async def test_asking_twice_moves_money_once(bench, kind):
    call = await bench.ready(kind)

    first, again, after_a_crash = (
        await bench.send(call), await bench.send(call), await bench.send_again(call),
    )  # fmt: skip

    done = bench.stand.done(kind)
    assert [(done, first.reference)] * 3 == [
        (answer.event, answer.reference) for answer in (first, again, after_a_crash)
    ]
    assert first.reference
    assert [(MOVES[kind], bench.stand.asked.asset)] == await bench.moves(call)


@pytest.mark.some(12)
@pytest.mark.parametrize("behaviour", ["lost_answer", "500_after"])
@of_each_kind
async def test_an_answer_that_did_not_come_is_a_doubt_and_the_door_finds_the_truth(
    bench, kind, behaviour
):
    call = await bench.ready(kind)
    await bench.rule(call, behaviour)

    doubtful = await bench.send(call)
    found = await bench.close_door(call)

    assert (Event.LOSE_TRACK, bench.stand.done(kind)) == (doubtful.event, found.event)
    assert [(MOVES[kind], bench.stand.asked.asset)] == await bench.moves(call)


@pytest.mark.some(5)  # they wait
@of_each_kind
async def test_a_timeout_is_a_doubt(bench, kind):
    call = await bench.ready(kind)
    await bench.rule(call, "slow_900")
    impatient = bench.make(timeout_s=0.3)

    doubtful = await bench.send(call, impatient)
    await asyncio.sleep(0.8)
    found = await bench.close_door(call)

    assert (Event.LOSE_TRACK, bench.stand.done(kind)) == (doubtful.event, found.event)
    assert [(MOVES[kind], bench.stand.asked.asset)] == await bench.moves(call)
    await impatient.close()


@pytest.mark.some(20)
@of_each_kind
async def test_what_was_never_sent_is_gone_only_behind_a_closed_door(bench, kind):
    call = await bench.ready(kind)

    looked = await bench.processor.look_up(call)
    closed = await bench.close_door(call)
    late = await bench.send(call)

    assert Event.CLOSE is not looked.event
    if closed.event is Event.CLOSE:
        assert late.event not in {Event.SUCCEED, Event.PEND, Event.REQUIRE_ACTION}
        assert 0 == sum(moved for moved, _ in await bench.moves(call))
    else:  # repeating it was the door: it happened now, and once
        assert bench.stand.done(kind) is closed.event
        assert [(MOVES[kind], bench.stand.asked.asset)] == await bench.moves(call)


@pytest.mark.some(5)  # they wait
@of_each_kind
async def test_a_request_that_arrives_after_the_door_was_closed_changes_nothing(bench, kind):
    call = await bench.ready(kind)
    async with Wire(bench.port).open() as wire:
        wire.holds = b"POST /"
        held = bench.make(wire.port, timeout_s=0.3)
        doubtful = await bench.send(call, held)
        closed = await bench.close_door(call)
        wire.let_go.set()
        await asyncio.sleep(0.3)
        await held.close()

    assert Event.LOSE_TRACK is doubtful.event
    moved = await bench.moves(call)
    if closed.event is Event.CLOSE:
        assert 0 == sum(minor for minor, _ in moved)
    else:
        assert bench.stand.done(kind) is closed.event
        assert [(MOVES[kind], bench.stand.asked.asset)] == moved


async def test_the_door_of_what_this_rail_never_saw_can_be_closed(bench):
    _needs(bench, Kind.AUTHORIZE)  # what a bank never saw stands in tables: test_gateway_rtp.py
    call = await bench.ready(Kind.AUTHORIZE)
    tombstone = Call.tombstone(
        merchant=call.merchant, operation=call.operation, account=call.account,
        amount=call.amount, traceparent="", at=call.created_at,
    )  # fmt: skip

    assert Event.CLOSE is (await bench.processor.close_door(tombstone)).event


@pytest.mark.parametrize(
    ("token", "event", "category"),
    [
        ("tok_decline_soft", Event.DECLINE_SOFT, Category.SOFT),
        ("tok_decline_insufficient_funds", Event.DECLINE_HARD, Category.HARD),
        ("tok_stolen", Event.DECLINE_HARD, Category.NEVER),
    ],
)
async def test_a_decline_says_what_may_follow(bench, token, event, category):
    call = await bench.ready(bench.stand.tells, token=token)

    answer = await bench.send(call)

    assert (event, category) == (answer.event, answer.decline.category)
    assert 0 == sum(minor for minor, _ in await bench.moves(call))


@pytest.mark.parametrize("stand", STANDS, ids=lambda stand: stand.name)
def test_a_code_in_no_row_is_never_retried(stand):
    declines = load_codes(stand.processor).declines

    read = [declines.read(operation=kind, code="a_code_of_tomorrow", advice="") for kind in Kind]

    assert {Event.DECLINE_HARD} == {event for event, _ in read}
    assert RETRYABLE.isdisjoint(decline.category for _, decline in read)


async def test_an_answer_over_another_amount_is_a_conflict(bench):
    call = await bench.ready(bench.stand.tells, token="tok_wrong_amount")

    assert Event.CONFLICT is (await bench.send(call)).event


@pytest.mark.some(45)
@pytest.mark.parametrize(("bench", "kind", "amount"), AMOUNTS, indirect=["bench"])
async def test_amounts_are_the_same_money_on_both_sides(bench, kind, amount):
    call = await bench.ready(kind, amount=amount)

    answer = await bench.send(call)

    sign = MOVES[kind] // 1250
    assert [(sign * amount.minor, amount.asset)] == await bench.moves(call)
    assert bench.stand.done(kind) is answer.event
    assert answer.amount in {amount, None}
    if answer.event is Event.SUCCEED:
        assert amount == answer.amount


@pytest.mark.some(15)
@of_each_kind
async def test_a_refused_connection_is_not_sent(bench, kind):
    call = await bench.ready(kind)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        processor = bench.make(nobody.getsockname()[1])
        answer = await bench.send(call, processor)
        await processor.close()

    assert (Event.FAIL_UNSENT, True) == (answer.event, answer.of_request)


@pytest.mark.some(30)
@pytest.mark.parametrize("behaviour", ["rate_limited", "500_before"])
@of_each_kind
async def test_what_failed_before_its_effect_is_not_told_as_done_and_can_be_repeated(
    bench, kind, behaviour
):
    call = await bench.ready(kind)
    await bench.rule(call, behaviour)

    first = await bench.send(call)
    again = await bench.send(call)

    assert first.event in {Event.DECLINE_SOFT, Event.LOSE_TRACK}
    # A 500 that is kept under its key is told again: that is a doubt still, and no success.
    assert again.event in {bench.stand.done(kind), Event.LOSE_TRACK}
    assert len(await bench.moves(call)) == (again.event is bench.stand.done(kind))


async def test_partial_captures_take_what_was_held_and_no_more(bench):
    _needs(bench, Kind.AUTHORIZE, Kind.CAPTURE)
    root = await bench.succeeded(bench.call(Kind.AUTHORIZE))
    parts = [
        bench.call(Kind.CAPTURE, root, number=number, amount=Money(minor, "EUR"))
        for number, minor in ((2, 500), (3, 700), (4, 51))
    ]

    answers = [await bench.send(part) for part in parts]

    moved = [sum(minor for minor, _ in await bench.moves(part)) for part in parts]
    assert [500, 700, 0] == moved
    assert [bench.stand.done(Kind.CAPTURE)] * 2 == [answer.event for answer in answers[:2]]
    assert answers[2].event in {Event.DECLINE_HARD, bench.stand.done(Kind.CAPTURE)} - {
        Event.SUCCEED
    }


async def test_more_than_was_captured_is_never_given_back(bench):
    _needs(bench, Kind.AUTHORIZE, Kind.REFUND)
    root = await bench.succeeded(bench.call(Kind.AUTHORIZE, capture=True))
    refunds = [
        bench.call(Kind.REFUND, root, number=number, amount=Money(800, "EUR")) for number in (2, 3)
    ]

    first, over = [await bench.send(refund) for refund in refunds]

    done = bench.stand.done(Kind.REFUND)
    assert done is first.event
    assert over.event in {Event.DECLINE_HARD, done} - {Event.SUCCEED}
    assert [-800, 0] == [sum(m for m, _ in await bench.moves(refund)) for refund in refunds]


async def test_a_void_after_a_partial_capture_releases_the_rest(bench):
    _needs(bench, Kind.AUTHORIZE, Kind.CAPTURE, Kind.VOID)
    root = await bench.succeeded(bench.call(Kind.AUTHORIZE))
    await bench.send(bench.call(Kind.CAPTURE, root, amount=Money(500, "EUR")))
    void = bench.call(Kind.VOID, root, number=3, amount=Money(750, "EUR"))

    answer = await bench.send(void)
    late = await bench.send(bench.call(Kind.CAPTURE, root, number=4, amount=Money(100, "EUR")))

    assert bench.stand.done(Kind.VOID) is answer.event
    assert Event.SUCCEED is not late.event


async def test_what_waits_for_the_customer_can_be_voided(bench):
    _needs(bench, Kind.AUTHORIZE, Kind.VOID)
    call = bench.call(Kind.AUTHORIZE, token="tok_action_required")
    waiting = await bench.send(call)

    void = await bench.send(bench.call(Kind.VOID, replace(call, reference=waiting.reference)))

    assert Event.REQUIRE_ACTION is waiting.event
    assert void.event in {bench.stand.done(Kind.VOID), Event.DECLINE_HARD}


def _needs(bench: Bench, *kinds: Kind) -> None:
    if missing := [kind.value for kind in kinds if kind not in bench.stand.kinds]:
        pytest.skip(f"{bench.stand.name} has no {' and no '.join(missing)} without files")
