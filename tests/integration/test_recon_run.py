"""A run finds every type of exception, explains every cent, and survives a kill at any point."""

import asyncio
import itertools
import random

import pytest

from cashier_common.db.engine import Database
from cashier_common.errors import EtagMismatch, FieldInvalid, TransitionRefused
from cashier_recon.domain.errors import RunInProgress
from cashier_recon.flows import start_run
from cashier_recon.flows.decide_exception import Decision, etag_of
from tests.support.recon_router import Operation, event_of
from tests.support.recon_statements import row
from tests.support.recon_world import (
    CUTOFF,
    EVERY_TYPE,
    World,
    balances,
    every_type,
    key,
    residuals,
    types,
)

pytest_plugins = ["tests.support.recon_books", "tests.support.recon_world_fixture"]
OK = Operation.STATE_SUCCEEDED


async def test_a_clean_file_settles_everything_and_leaves_no_exception(world, sql):
    await world.book(*(event_of(n, OK, amount=1000 + n) for n in range(1, 51)))
    rows = [row(n, 1000 + n, payout_id="po_1") for n in range(1, 51)]
    paid = sum(r["net"] for r in rows)
    rows.append(row(99, -paid, fee=0, type="payout", source="po_1", payout_id="po_1"))
    await world.load(rows)

    run = await world.run()

    assert ("COMPLETE", 50, {}) == (run.state, run.matched_count, run.exception_counts)
    assert {} == await balances(sql, "receivable") == await balances(sql, "clearing")
    assert {"EUR": paid} == await balances(sql, "bank_in_transit")
    assert {"EUR": 29 * 50} == await balances(sql, "fees")
    assert 50 == await sql.fetchval("SELECT count(*) FROM expectations WHERE state = 'SETTLED'")


async def test_every_type_of_exception_is_found_and_every_cent_has_a_name(world, sql):
    await world.load(await every_type(world))

    run = await world.run()

    assert EVERY_TYPE == set(await types(sql)) == set(run.exception_counts)
    assert [] == residuals(run)
    assert "COMPLETE" == run.state
    assert {0} == {
        r["s"] for r in await sql.fetch("SELECT sum(amount) AS s FROM entries GROUP BY asset")
    }
    lines = await sql.fetchval("SELECT sum(net) FROM statement_lines WHERE asset = 'EUR'")
    assert {"EUR": lines, "USD": 971} == await balances(sql, "clearing")
    sentences = await sql.fetch("SELECT detail FROM exceptions")
    assert all("Next: " in r["detail"] and r["detail"].endswith(".") for r in sentences)


async def test_the_order_of_rows_and_files_does_not_change_the_result(copies, world, sql):
    rows = await every_type(world)
    await world.load(rows)
    first = await world.run()
    for seed in (1, 2):
        other = copies.of("recon")
        db = await Database.connect(other.app_url, name="order")
        try:
            again = World(db, other.app_url)
            shuffled = await every_type(again)
            random.Random(seed).shuffle(shuffled)
            if seed == 2:  # and in two files; the repeated line must stay in one
                twins = [r for r in shuffled if r["id"] == "txn_4_1_charge"]
                others = [r for r in shuffled if r not in twins]
                await again.load(others[:7] + twins)
                await again.load(others[7:])
            else:
                await again.load(shuffled)
            assert first.result_hash == (await again.run()).result_hash
        finally:
            await db.close()
            copies.drop(other)


async def test_money_that_cannot_be_read_leaves_the_run_incomplete(world):
    await world.load([row(1, 100) | {"net": "?"}])

    run = await world.run()

    assert "INCOMPLETE" == run.state
    assert "cannot be read" in run.detail


async def test_a_line_that_came_before_its_booking_is_matched_by_the_next_run(world, sql):
    await world.load([row(1, 1000)])
    first = await world.run()
    suspense = await balances(sql, "suspense")
    await world.book(event_of(1, OK))

    second = await world.run()

    assert {"ORPHAN_SETTLEMENT": 1} == first.exception_counts
    assert {"EUR": -1000} == suspense
    assert ("COMPLETE", 1) == (second.state, second.matched_count)
    assert {} == await balances(sql, "suspense") == await balances(sql, "receivable")
    assert {"ORPHAN_SETTLEMENT": "RESOLVED"} == await types(sql)


async def test_what_settles_late_closes_its_exception(world, sql):
    await world.book(event_of(1, OK))
    await world.run()
    await world.load([row(1, 1000)])

    run = await world.run()

    assert {"MISSING_IN_SETTLEMENT": "RESOLVED"} == await types(sql)
    assert {} == run.exception_counts
    assert {} == await balances(sql, "receivable")


async def test_a_second_run_finds_nothing_new(world, sql):
    await world.load(await every_type(world))
    await world.run()
    before = await sql.fetch("SELECT * FROM exceptions ORDER BY exception_id")
    journals = await sql.fetchval("SELECT count(*) FROM journals")

    run = await world.run()

    assert before == await sql.fetch("SELECT * FROM exceptions ORDER BY exception_id")
    assert journals == await sql.fetchval("SELECT count(*) FROM journals")
    assert {"MISSING_IN_SETTLEMENT", "REFUND_MISSING_IN_SETTLEMENT"} == set(run.exception_counts)


class Killed(Exception):
    pass


@pytest.mark.parametrize("place", ["recon.run_planned", "recon.run_applied"])
@pytest.mark.parametrize("after", [1, 3])
async def test_a_run_that_is_killed_ends_as_if_it_had_not_been(
    copies, world, sql, monkeypatch, place, after
):
    monkeypatch.setattr(start_run, "PLAN_ITEMS_MAX", 5)
    monkeypatch.setattr(start_run, "APPLY_ITEMS_MAX", 3)
    await world.load(await every_type(world))
    wanted = await world.run()
    hits = itertools.count(1)

    async def hit(name):
        if name == place and next(hits) == after:
            raise Killed

    other = copies.of("recon")
    db = await Database.connect(other.app_url, name="killed")
    try:
        again = World(db, other.app_url)
        await again.load(await every_type(again))
        monkeypatch.setattr(start_run.failpoints, "hit", hit)
        with pytest.raises(Killed):
            await again.run("the-key-of-the-killed-run")

        resumed = await again.reconciler.resume()

        ended, replayed = await again.reconciler.start(
            cutoff=CUTOFF, processor_accounts=(), key=key("the-key-of-the-killed-run")
        )
        assert (1, True, wanted.result_hash) == (resumed, replayed, ended.result_hash)
        assert wanted.bridge == ended.bridge
    finally:
        await db.close()
        copies.drop(other)


async def test_two_runs_at_once_one_wins_and_the_other_says_so(world):
    await world.load(await every_type(world))

    ended = await asyncio.gather(world.run(), world.run(), return_exceptions=True)

    assert 1 == sum(isinstance(one, RunInProgress) for one in ended)
    assert 1 == sum(getattr(one, "state", None) == "COMPLETE" for one in ended)


async def test_an_exception_is_claimed_and_decided_once(world, sql):
    await world.book(event_of(1, OK))
    await world.run()
    name = await sql.fetchval("SELECT exception_id FROM exceptions")
    async with world.begin() as unit:
        standing = await unit.exception(name)
    claim = Decision(name=name, operator="ann", etag=etag_of(standing))
    claimed, _ = await world.decider.decide(claim, key("the-key-of-the-first-claim"))
    again, was_there = await world.decider.decide(claim, key("the-key-of-the-first-claim"))

    with pytest.raises(EtagMismatch):
        await world.decider.decide(claim, key())
    with pytest.raises(FieldInvalid, match="WRITE_OFF"):
        await world.decider.decide(
            Decision(name=name, operator="ann", etag=etag_of(claimed), choice="SHRUG"), key()
        )
    decision = Decision(
        name=name, operator="ann", etag=etag_of(claimed), choice="WRITE_OFF", reason="too small"
    )
    decided, _ = await world.decider.decide(decision, key())
    late = Decision(name=name, operator="bob", etag=etag_of(decided))
    with pytest.raises(TransitionRefused):
        await world.decider.decide(late, key())

    assert ("ASSIGNED", claimed, True) == (claimed.state, again, was_there)
    assert "WRITTEN_OFF" == decided.state
    assert {} == await balances(sql, "receivable")
    assert {"EUR": 1000} == await balances(sql, "write_off")
    assert "WRITTEN_OFF" == await sql.fetchval("SELECT state FROM expectations")
    steps = await sql.fetch("SELECT version, action FROM steps WHERE subject = $1 ORDER BY 1", name)
    assert [(1, "EXCEPTION_FOUND"), (2, "EXCEPTION_CLAIMED"), (3, "EXCEPTION_DECIDED")] == [
        tuple(step) for step in steps
    ]
