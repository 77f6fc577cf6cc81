"""Recon without its servers: its flows over one real database, and a day with every mismatch."""

import itertools
from datetime import timedelta

from cashier_common.clock import FixedClock
from cashier_recon.clients.router import fed_event
from cashier_recon.domain.bridge import RESIDUAL
from cashier_recon.domain.formats.stripe_balance_transactions import parse
from cashier_recon.domain.import_result import Header
from cashier_recon.flows.decide_exception import Decider
from cashier_recon.flows.import_statement import Importer
from cashier_recon.flows.ports import Key
from cashier_recon.flows.post_events import post_events
from cashier_recon.flows.start_run import Reconciler
from cashier_recon.storage.locks import SessionLock
from cashier_recon.storage.unit import unit_factory
from tests.support.recon_router import START, FakeRouter, Operation, event_of
from tests.support.recon_statements import file_of, row

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


async def types(sql):
    return {r["type"]: r["state"] for r in await sql.fetch("SELECT type, state FROM exceptions")}


async def balances(sql, account):
    rows = await sql.fetch(
        "SELECT asset, sum(amount)::bigint AS s FROM entries WHERE account = $1 GROUP BY 1", account
    )
    return {r["asset"]: r["s"] for r in rows if r["s"]}


def residuals(run):
    return [line for line in run.bridge if line.label == RESIDUAL and line.amount]


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
    return [
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
