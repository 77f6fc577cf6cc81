"""A run finds every type of exception, explains every cent, and survives a kill at any point."""

import asyncio
import itertools
import random
from datetime import timedelta

import pytest

from cashier_common.clock import FixedClock
from cashier_common.db.engine import Database
from cashier_common.db.migrate import run_migrations
from cashier_common.errors import EtagMismatch, FieldInvalid, TransitionRefused
from cashier_recon.clients.router import fed_event
from cashier_recon.domain.bridge import RESIDUAL
from cashier_recon.domain.errors import RunInProgress
from cashier_recon.domain.formats.stripe_balance_transactions import parse
from cashier_recon.domain.import_result import Header
from cashier_recon.flows import start_run
from cashier_recon.flows.decide_exception import Decider, Decision, etag_of
from cashier_recon.flows.import_statement import Importer
from cashier_recon.flows.ports import Key
from cashier_recon.flows.post_events import post_events
from cashier_recon.flows.start_run import Reconciler
from cashier_recon.storage.locks import SessionLock
from cashier_recon.storage.unit import unit_factory
from tests.support.recon_router import START, FakeRouter, Operation, event_of
from tests.support.recon_statements import file_of, row

pytest_plugins = ["tests.support.recon_books"]
OK = Operation.STATE_SUCCEEDED
CUTOFF = START + timedelta(days=3)
_keys = itertools.count(1)


def key(word=None):
    word = word or f"key-{next(_keys):020d}"
    return Key(word, "spiffe://cashier.local/client/test", "M", b"f" * 32, "")


async def chunks(content):
    for place in range(0, len(content), 1000):
        yield content[place : place + 1000]


class World:
    """Recon without its servers, over one real database."""

    def __init__(self, db, url):
        begin, lock = unit_factory(db), SessionLock(url)
        self.begin, self.clock = begin, FixedClock(CUTOFF)
        self.importer = Importer(
            begin,
            lock,
            self.clock,
            {1: parse},
        )
        self.reconciler = Reconciler(begin, lock, self.clock)
        self.decider = Decider(begin, self.clock)
        self.router = FakeRouter()

    async def book(self, *events):
        after = len(self.router.shards[0])
        self.router.append(0, events)
        fed = [fed_event(event, 0) for event in self.router.shards[0][after:]]
        posting = await post_events(fed, shard=0, after=after, begin=self.begin)
        assert posting.stopped_by is None

    async def load(self, rows, account="sandbox-eu"):
        content = rows if isinstance(rows, bytes) else file_of(rows)
        header = Header(
            processor_account=account, format=1, file_name="f.csv", period_end_time=None
        )
        return await self.importer.run(header, chunks(content), key())

    async def run(self, word=None):
        run, _ = await self.reconciler.start(cutoff=CUTOFF, processor_accounts=(), key=key(word))
        return run


@pytest.fixture
async def world(recon_db, recon_database):
    return World(recon_db, recon_database.app_url)


async def types(sql):
    return {r["type"]: r["state"] for r in await sql.fetch("SELECT type, state FROM exceptions")}


async def balances(sql, account):
    rows = await sql.fetch(
        "SELECT asset, sum(amount)::bigint AS s FROM entries WHERE account = $1 GROUP BY 1", account
    )
    return {r["asset"]: r["s"] for r in rows if r["s"]}


def residuals(run):
    return [line for line in run.bridge if line.label == RESIDUAL and line.amount]


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


async def every_type(world):
    declined = Operation.STATE_DECLINED_HARD
    await world.book(
        *(event_of(n, OK) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9)),
        event_of(10, declined),
        event_of(11, Operation.STATE_IN_DOUBT),
        event_of(12, OK, fee=None),
        event_of(13, OK, reference="shared"),
        event_of(14, OK, reference="shared"),
        event_of(
            1, OK, kind=Operation.KIND_REFUND, operation=2, amount=10, fee=0, reference="re_1"
        ),
    )
    rows = [
        row(1, 1000),
        row(2, 990),
        row(3, 1000, currency="usd"),
        row(4, 1000),
        row(4, 1000),
        row(5, 1000, fee=60),
        row(6, 1000, source="ch_00007_1"),
        row(10, 1000),
        row(11, 1000),
        row(12, 1000, fee=5),
        row(13, 1000, source="shared", description="no name"),
        row(8, -200, fee=0, type="refund", source="re_outside"),
        row(9, -1000, fee=1500, type="adjustment", source="dp_1"),
        row(50, 777, source="ch_stranger", description="unknown"),
        row(51, -30, fee=0, type="stripe_fee", source="", description="monthly"),
        row(52, 12, fee=0, type="made_up", source="x", description=""),
        row(53, -5, fee=0, type="payout", source="po_9", payout_id="po_9"),
        row(54, 100) | {"amount": "1e2"},
        row(55, 100, source="1.03311E+11"),
        row(56, 100) | {"net": "100"},
    ]
    return rows


EVERY_TYPE = {
    "MISSING_IN_SETTLEMENT",
    "REFUND_MISSING_IN_SETTLEMENT",
    "ORPHAN_SETTLEMENT",
    "AMOUNT_MISMATCH",
    "WRONG_CURRENCY",
    "DUPLICATE_SETTLEMENT",
    "FEE_VARIANCE",
    "UNEXPECTED_FEE",
    "EXTERNAL_REFUND",
    "CHARGEBACK_UNBOOKED",
    "CONTRADICTORY_REFERENCES",
    "AMBIGUOUS_MATCH",
    "LINE_UNPARSEABLE",
    "IDENTIFIER_CORRUPTED",
    "UNKNOWN_RECORD_TYPE",
    "BATCH_TOTAL_MISMATCH",
    "SETTLED_AFTER_DECLINE",
    "EARLY_SETTLEMENT",
}


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


async def test_the_order_of_rows_and_files_does_not_change_the_result(postgres, world, sql):
    rows = await every_type(world)
    await world.load(rows)
    first = await world.run()
    for seed in (1, 2):
        other = postgres.provision("recon", f"order{seed}")
        await run_migrations("cashier_recon", other.owner_url)
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
            postgres.drop("recon", f"order{seed}")


async def test_the_same_file_twice_changes_nothing(world, sql):
    rows = [row(n, 100 + n) for n in range(5)]
    first, was_there = await world.load(rows)

    again, is_there = await world.load(rows)

    assert (first, False, True) == (again, was_there, is_there)
    assert 5 == await sql.fetchval("SELECT count(*) FROM statement_lines")


async def test_overlapping_exports_count_each_line_once(world, sql):
    await world.load([row(n, 100) for n in (1, 2)])
    statement, _ = await world.load(
        [row(2, 100, status="paid", payout_id="po_7"), row(3, 100), row(1, 101)]
    )

    found = await sql.fetch("SELECT external_id FROM statement_lines ORDER BY 1")
    assert ["txn_1_1_charge", "txn_2_1_charge", "txn_3_1_charge"] == [r[0] for r in found]
    assert (3, 1, 1) == (
        statement.line_count,
        statement.repeated_line_count,
        statement.rejected_line_count,
    )
    assert "FILE_RESTATED" == await sql.fetchval("SELECT reject FROM rejected_rows")


async def test_a_broken_file_is_kept_apart_with_its_reason(world, sql):
    statement, _ = await world.load(b"id,amount\n1,2\n")

    assert "QUARANTINED" == statement.state
    assert "no column available_on" in statement.detail
    assert b"id,amount\n1,2\n" == await sql.fetchval("SELECT content FROM quarantined_files")
    assert 0 == await sql.fetchval("SELECT count(*) FROM statement_lines")


async def test_a_card_number_in_a_file_is_stored_nowhere(world, sql):
    card = "4242 4242 4242 4242"
    await world.load(
        [
            row(1, 100, description=f"card {card}"),
            row(2, 100, description=card) | {"fee": "x"},
            row(3, 100, source=card),
        ]
    )
    await world.load(b"id,amount\n1," + card.encode())

    for table in ("statement_lines", "rejected_rows", "quarantined_files", "statements", "steps"):
        for record in await sql.fetch(f"SELECT t::text FROM {table} t"):
            text = record[0].replace("\\x", "")
            assert "4242 4242" not in text
            assert b"4242 4242".hex() not in text


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
    postgres, world, sql, monkeypatch, place, after
):
    monkeypatch.setattr(start_run, "PLAN_ITEMS_MAX", 5)
    monkeypatch.setattr(start_run, "APPLY_ITEMS_MAX", 3)
    await world.load(await every_type(world))
    wanted = await world.run()
    hits = itertools.count(1)

    async def hit(name):
        if name == place and next(hits) == after:
            raise Killed

    other = postgres.provision("recon", "killed")
    await run_migrations("cashier_recon", other.owner_url)
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
        postgres.drop("recon", "killed")


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
    with pytest.raises(TransitionRefused):
        late = Decision(name=name, operator="bob", etag=etag_of(decided))
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
