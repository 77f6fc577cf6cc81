"""A bank debit waits for a file, settles or comes back; an instant credit answers at once."""

from dataclasses import replace

import pytest

from cashier_common.money import Money
from cashier_gateway.domain.ach import FileState
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows import exchange_files
from cashier_gateway.flows.exchange_files import source_of
from cashier_nacha import parse
from tests.support.gateway_bank import (
    ACCOUNT_NUMBER,
    BANK,
    digest,
    keep,
    rig,
    sandbox,
    service,
)
from tests.support.gateway_rig import a_follow_up
from tests.support.postgres_fixture import postgres

__all__ = ["postgres", "rig", "sandbox", "service"]


async def test_a_debit_is_pending_until_the_clearing_house_settled_it(rig):
    command = await rig.debit()

    promised = await rig.rig.authorize(command)
    await rig.leave()
    before = await rig.moved(command)
    await rig.settle()
    await rig.read()

    call = await rig.call(command)
    assert (State.PENDING, [], State.SUCCEEDED) == (promised.state, before, call.state)
    assert ([1_250], Money(1_250, "USD")) == (await rig.moved(command), call.outcome.amount)
    assert promised.reference == call.reference
    assert call.outcome.settlement is not None
    assert ["SUCCEEDED"] == [one.state.value for one in await rig.told(command)]


async def test_what_is_returned_in_place_of_settling_is_declined(rig):
    command = await rig.debit("00077010")
    await rig.rig.authorize(command)

    await rig.cycle()

    call = await rig.call(command)
    assert (State.DECLINED_HARD, []) == (call.state, await rig.moved(command))
    assert ("R01", "INSUFFICIENT_FUNDS", "HARD") == (
        call.outcome.decline.code,
        call.outcome.decline.meaning,
        call.outcome.decline.category,
    )


async def test_what_is_returned_after_it_settled_is_told_as_a_reversal_once(rig):
    command = await rig.debit("00077291")
    await rig.rig.authorize(command)
    await rig.cycle()
    settled = await rig.call(command)

    await rig.settle()
    await rig.read()
    await rig.read()

    call = await rig.call(command)
    *_, reversal = await rig.told(command)
    assert (State.SUCCEEDED, State.SUCCEEDED) == (settled.state, call.state)
    assert [1_250, -1_250] == await rig.moved(command)
    assert ("REVERSED", call.reference, "R29") == (
        reversal.told,
        reversal.reversal_reference,
        reversal.outcome.decline.code,
    )
    assert 1 == sum(one.told == "REVERSED" for one in await rig.told(command))


async def test_a_return_and_its_settlement_read_together_are_a_success_and_a_reversal(rig):
    """As after a day without the bank: the return waits until the success was taken."""
    command = await rig.debit("00077021")
    await rig.rig.authorize(command)
    await rig.leave()
    await rig.settle()
    await rig.settle()

    await rig.read()
    await rig.rig.as_owner("UPDATE inbox SET next_at = now()")
    await rig.postman.step()

    told = [one.told or one.state.value for one in await rig.told(command)]
    assert ["SUCCEEDED", "REVERSED"] == told


async def test_a_change_is_kept_as_evidence_and_its_corrected_data_nowhere(rig):
    command = await rig.debit("00088010")
    await rig.rig.authorize(command)

    await rig.cycle()

    notes = [row for row in await rig.letters() if "notification of change C01" in row["notice"]]
    assert [("DONE", "NOTHING")] == [(row["state"], row["result"]) for row in notes]
    assert State.SUCCEEDED is (await rig.call(command)).state
    assert not [row for row in await rig.letters() if "1918171614" in row["notice"]]


async def test_entries_go_into_one_file_that_is_written_before_it_leaves(rig):
    commands = [await rig.debit(minor=100 + place) for place in range(3)]
    commands.append(await rig.payout(minor=50))
    for command in commands:
        await rig.rig.authorize(command)

    await rig.exchange.write(BANK, rig.bank)

    [file] = await rig.files()
    batches = parse(file["content"]).batches
    assert (FileState.WRITTEN, digest(file["content"])) == (file["state"], file["sha256"])
    assert [("225", 303), ("220", 50)] == [
        (batch.header.service_class, sum(entry.amount for entry in batch.entries))
        for batch in batches
    ]
    rows = await rig.rig.as_owner("SELECT reference, trace FROM ach_entries")
    assert {(row["reference"], row["trace"]) for row in rows} == {
        (entry.individual_id, entry.trace) for batch in batches for entry in batch.entries
    }
    async with rig.client() as client:
        status, _, _ = await client.ask("GET", f"/ach/files/{file['file_id']}")
    assert 404 == status


async def test_no_row_of_ours_holds_an_account_number(rig):
    command = await rig.debit()
    await rig.rig.authorize(command)
    await rig.cycle()
    tables = ["calls", "ach_entries", "inbox", "notes", "steps"]

    found = [
        table
        for table in tables
        if await rig.rig.as_owner(
            f"SELECT 1 FROM {table} AS t WHERE position($1 in t::text) > 0",  # noqa: S608
            ACCOUNT_NUMBER,
        )
    ]

    assert [] == found
    assert not any(ACCOUNT_NUMBER.encode() in file["content"] for file in await rig.files())


@pytest.mark.parametrize("behaviour", ["lost_answer", "500_after", "500_before", "unavailable"])
@pytest.mark.some(2)
async def test_a_file_whose_answer_is_lost_is_asked_about_and_taken_once(rig, behaviour):
    command = await rig.debit()
    await rig.rig.authorize(command)
    await rig.rules(behaviour, "file")

    await rig.leave()
    [file] = await rig.files()
    await rig.rig.as_owner("UPDATE ach_files SET lease_until = now()")
    await rig.leave()
    await rig.settle()
    await rig.read()

    [after] = await rig.files()
    assert (FileState.SENDING, FileState.ACCEPTED) == (file["state"], after["state"])
    assert (file["file_id"], file["content"]) == (after["file_id"], after["content"])
    assert [1_250] == await rig.moved(command)
    assert State.SUCCEEDED is (await rig.call(command)).state


async def test_a_void_takes_an_entry_back_before_its_file_and_not_after(rig):
    early, late = await rig.debit(), await rig.debit()
    await rig.rig.authorize(early)
    removed = await rig.rig.authorize(a_follow_up(Kind.VOID, early))
    await rig.rig.authorize(late)
    await rig.leave()

    refused = await rig.rig.authorize(a_follow_up(Kind.VOID, late))
    gone = await rig.rig.look_up(early)
    await rig.settle()
    await rig.read()

    assert (State.SUCCEEDED, State.NOT_FOUND) == (removed.state, gone.state)
    assert (State.DECLINED_HARD, "NOT_VOIDABLE") == (
        refused.state,
        refused.outcome.decline.meaning,
    )
    assert ([], [1_250]) == (await rig.moved(early), await rig.moved(late))


async def test_a_refund_is_a_credit_to_where_the_debit_came_from(rig):
    debit = await rig.debit()
    await rig.rig.authorize(debit)
    await rig.cycle()
    refund = a_follow_up(Kind.REFUND, debit, amount=Money(400, "USD"))

    promised = await rig.rig.authorize(refund)
    await rig.cycle()

    assert (State.PENDING, State.SUCCEEDED) == (promised.state, (await rig.call(refund)).state)
    assert [-400] == await rig.moved(refund)


async def test_a_payout_over_the_clearing_house_settles_like_a_debit(rig):
    command = await rig.payout()

    promised = await rig.rig.authorize(command)
    await rig.cycle()

    assert (State.PENDING, State.SUCCEEDED) == (promised.state, (await rig.call(command)).state)
    assert [-1_250] == await rig.moved(command)


async def test_a_closed_door_keeps_an_entry_out_of_every_file(rig):
    command = await rig.debit()

    closed = await rig.rig.look_up(command)
    late = await rig.bank.send(replace(closed, request=command.request), keep)
    await rig.leave()

    assert (State.NOT_FOUND, "CLOSE") == (closed.state, late.event.value)
    assert [] == await rig.files()


async def test_an_operator_hands_in_a_file_of_returns_twice(rig):
    command = await rig.debit("00077031")
    await rig.rig.authorize(command)
    await rig.cycle()
    await rig.settle()
    async with rig.client() as client:
        last = (await client.get("/ach/reports?limit=100"))["data"][-1]
        content = await client.get(f"/ach/reports/{last['id']}")
    lines = rig.bank.read_returns(content)

    first = await rig.exchange.take(BANK, rig.bank, lines, source=source_of(content))
    again = await rig.exchange.take(BANK, rig.bank, lines, source=source_of(content))
    await rig.postman.step()
    await rig.read()

    assert (len(lines), 0) == (first, again)
    told = await rig.told(command)
    assert 1 == sum(one.told == "REVERSED" for one in told)


class Killed(BaseException):
    """What a test throws in place of a process that dies."""


@pytest.mark.some(1)
@pytest.mark.parametrize(
    "point",
    [
        "gateway.after_file_written",
        "gateway.before_file_sent",
        "gateway.after_file_sent",
        "gateway.after_report",
    ],
)
async def test_a_death_at_any_point_of_a_file_moves_its_money_once(rig, monkeypatch, point):
    commands = [await rig.debit(), await rig.debit("00077291"), await rig.payout()]
    for command in commands:
        await rig.rig.authorize(command)

    async def dies(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(exchange_files, "hit", dies)
        with pytest.raises(Killed):
            await rig.cycle()
    await rig.rig.as_owner("UPDATE ach_files SET lease_until = now()")
    await rig.leave()
    await rig.settle()
    await rig.read()
    await rig.settle()
    await rig.read()
    # A return that is read beside its settlement waits for it.
    await rig.rig.as_owner("UPDATE inbox SET next_at = now() WHERE state = 'WAITING'")
    await rig.postman.step()

    assert 1 == len(await rig.files())
    assert [[1_250], [1_250, -1_250], [-1_250]] == [await rig.moved(one) for one in commands]
    assert {State.SUCCEEDED} == {(await rig.call(one)).state for one in commands}
    assert ["REVERSED"] == [one.told for one in await rig.told(commands[1]) if one.told]
