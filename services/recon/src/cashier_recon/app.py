"""The composition root: every object of recon is made here and nowhere else."""

from typing import Final

from cashier.recon.v1 import (
    ledger_service_pb2_grpc,
    recon_service_pb2,
    recon_service_pb2_grpc,
)
from cashier_common.clock import SystemClock
from cashier_common.db.audit import PERIOD_S, SHARD_COUNT, Sealer
from cashier_common.db.engine import Database
from cashier_common.db.follow import SealedRecord
from cashier_common.db.reaper import PERIOD_S as REAP_PERIOD_S
from cashier_common.db.reaper import Reaper
from cashier_common.rpc.client import connect
from cashier_common.rpc.paging import pager
from cashier_common.service import App, Role
from cashier_common.tasks import TaskGroup
from cashier_common.worker import Worker
from cashier_recon.clients.router import RouterEvents
from cashier_recon.domain.formats import stripe_balance_transactions
from cashier_recon.flows.decide_exception import Decider
from cashier_recon.flows.import_statement import Importer, Parse
from cashier_recon.flows.start_run import Reconciler
from cashier_recon.rpc.ledger_servicer import LedgerServicer
from cashier_recon.rpc.recon_servicer import ReconServicer
from cashier_recon.settings import ReconSettings
from cashier_recon.storage.locks import SessionLock
from cashier_recon.storage.reports import BookReports
from cashier_recon.storage.unit import unit_factory
from cashier_recon.workers.feed import Feed
from cashier_recon.workers.unfinished_runs import UnfinishedRuns

DOMAIN: Final = "recon.cashier"
RECON: Final = "cashier.recon.v1.ReconService"
LEDGER: Final = "cashier.recon.v1.LedgerService"
FEED_PERIOD_S: Final = 0.05
RUNS_PERIOD_S: Final = 5.0
FORMATS: Final[dict[int, Parse]] = {
    recon_service_pb2.STATEMENT_FORMAT_STRIPE_BALANCE_TRANSACTIONS: (
        stripe_balance_transactions.parse
    ),
}


async def build(settings: ReconSettings, role: Role) -> App:
    """Recon for one role; nothing is connected before its first use."""
    url = settings.need("database_url")
    database = await Database.connect(url, name=f"recon {role}")
    begin, lock, clock = unit_factory(database), SessionLock(url), SystemClock()
    reconciler = Reconciler(begin, lock, clock)
    if role is Role.WORK:
        return _worker(settings, database, reconciler)
    tasks, reports, pages = TaskGroup(), BookReports(database), pager(settings, DOMAIN)

    async def stop() -> None:
        await tasks.drain()
        await database.close()

    recon = ReconServicer(
        importer=Importer(begin, lock, clock, FORMATS),
        reconciler=reconciler,
        decider=Decider(begin, clock),
        reports=reports,
        pager=pages,
        tasks=tasks,
        verify=SealedRecord(database).verify,
    )
    ledger = LedgerServicer(reports, pages)
    return App(
        DOMAIN,
        services=[
            (recon_service_pb2_grpc.add_ReconServiceServicer_to_server, recon, RECON),
            (ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server, ledger, LEDGER),
        ],
        readiness=database.ping,
        on_stop=stop,
    )


def _worker(settings: ReconSettings, database: Database, reconciler: Reconciler) -> App:
    channel = connect(settings.need("router_target"), settings)
    begin, source = unit_factory(database), RouterEvents(channel)
    feeds = [Feed(shard, source=source, begin=begin) for shard in range(SHARD_COUNT)]

    async def stop() -> None:
        for feed in feeds:
            await feed.close()
        await channel.close()
        await database.close()

    return App(
        DOMAIN,
        workers=[
            *(
                Worker(f"feed-{feed.shard}", feed.step, FEED_PERIOD_S, interruptible=True)
                for feed in feeds
            ),
            Worker("unfinished-runs", UnfinishedRuns(reconciler).step, RUNS_PERIOD_S),
            Worker("sealer", Sealer(database).step, PERIOD_S),
            Worker(
                "reaper",
                Reaper(database, key_life_days=settings.idempotency_key_life_days).step,
                REAP_PERIOD_S,
            ),
        ],
        on_stop=stop,
    )
