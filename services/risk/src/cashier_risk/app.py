"""The composition root: every object of risk is made here and nowhere else."""

from typing import Final

from cashier.risk.v1 import risk_admin_service_pb2_grpc, risk_service_pb2_grpc
from cashier_common.clock import SystemClock
from cashier_common.db.engine import Database
from cashier_common.db.follow import SealedRecord
from cashier_common.db.sealer import PERIOD_S, Sealer
from cashier_common.redis.client import Hints
from cashier_common.service import App, Role
from cashier_common.worker import Worker
from cashier_risk.clients.counters import RedisCounters
from cashier_risk.flows.ports import Desk
from cashier_risk.rpc.risk_admin_servicer import RiskAdminServicer
from cashier_risk.rpc.risk_servicer import RiskServicer
from cashier_risk.rule_sets import load_rules
from cashier_risk.settings import RiskSettings
from cashier_risk.storage.archive import DatabaseArchive
from cashier_risk.storage.books import Books
from cashier_risk.storage.truth import DatabaseTruth
from cashier_risk.workers.refills import Refills

DOMAIN: Final = "risk.cashier"
RISK: Final = "cashier.risk.v1.RiskService"
RISK_ADMIN: Final = "cashier.risk.v1.RiskAdminService"


async def build(settings: RiskSettings, role: Role) -> App:
    """Put the service together; nothing is connected before its first use."""
    database = await Database.connect(settings.need("database_url"), name=f"risk {role}")
    if role is Role.WORK:
        sealer = Worker("sealer", Sealer(database).step, PERIOD_S)
        return App(DOMAIN, workers=[sealer], on_stop=database.close)
    clock, truth = SystemClock(), DatabaseTruth(database)
    redis_url = settings.redis_url.get_secret_value()
    hints = await Hints.connect(redis_url) if redis_url else None
    counters = RedisCounters(hints) if hints else None
    refills = Refills(counters=counters, truth=truth, clock=clock) if counters else None
    desk = Desk(
        begin=Books(database).begin,
        archive=DatabaseArchive(database),
        truth=truth,
        counters=counters,
        refill=refills.ask if refills else lambda _: None,
        rules=load_rules(settings.rule_set),
        clock=clock,
    )

    async def stop() -> None:
        if refills is not None:
            await refills.drain()
        if hints is not None:
            await hints.close()
        await database.close()

    admin = RiskAdminServicer(desk, SealedRecord(database).verify)
    return App(
        DOMAIN,
        services=[
            (risk_service_pb2_grpc.add_RiskServiceServicer_to_server, RiskServicer(desk), RISK),
            (
                risk_admin_service_pb2_grpc.add_RiskAdminServiceServicer_to_server,
                admin,
                RISK_ADMIN,
            ),
        ],
        readiness=database.ping,
        on_stop=stop,
    )
