"""The router's composition root: every object is built here and nowhere else."""

import asyncio
import contextlib

from cashier.payments.v1 import payment_admin_service_pb2_grpc, payment_service_pb2_grpc
from cashier_common import failpoints
from cashier_common.clock import SystemClock
from cashier_common.db.audit import SHARD_COUNT
from cashier_common.db.engine import Database
from cashier_common.db.reaper import PERIOD_S as REAP_PERIOD_S
from cashier_common.db.reaper import Reaper
from cashier_common.db.sealer import PERIOD_S as SEAL_PERIOD_S
from cashier_common.db.sealer import Sealer
from cashier_common.redis.client import Hints
from cashier_common.rpc.client import connect
from cashier_common.rpc.paging import pager
from cashier_common.service import App, Role
from cashier_common.tasks import TaskGroup
from cashier_common.worker import Worker
from cashier_router.clients.health import HealthTable
from cashier_router.clients.rails import REFRESH_S, RailClients
from cashier_router.clients.risk import RiskClient
from cashier_router.domain.questions import QuestionPlan, Schedule
from cashier_router.flows.ports import World
from cashier_router.rpc.admin_servicer import PaymentAdminServicer
from cashier_router.rpc.payment_servicer import PaymentServicer
from cashier_router.settings import RouterSettings
from cashier_router.storage.record import StepRecord
from cashier_router.storage.store import PaymentStore
from cashier_router.workers.outcomes import DecisionPull, OutcomePull
from cashier_router.workers.progress import Janitor, Progress

DOMAIN = "payments.cashier"
PROGRESS_PERIOD_S = 1.0
JANITOR_PERIOD_S = 1.0
OUTCOMES_PERIOD_S = 0.5
DECISIONS_PERIOD_S = 2.0
# Until a rail was heard for the first time it is asked this often.
FIRST_HEARING_S = 0.5


async def build(settings: RouterSettings, role: Role) -> App:
    """The router for one role; nothing is served before the database answers."""
    database = await Database.connect(settings.need("database_url"), name="cashier_router")
    targets = {"risk": settings.need("risk_target"), **settings.rail_targets}
    channels = {name: connect(target, settings) for name, target in targets.items()}
    rails = RailClients({name: channels[name] for name in settings.rail_targets})
    questions = QuestionPlan(doubt=Schedule(settings.doubt_schedule))
    store, clock = PaymentStore(database, questions), SystemClock()
    redis_url = settings.redis_url.get_secret_value()
    hints = await Hints.connect(redis_url) if redis_url else None
    health = HealthTable(
        {rail: channels[rail] for rail in rails.rails}, clock, scripts=hints, redis_url=redis_url
    )
    world = World(
        store=store, risk=RiskClient(channels["risk"]), rails=rails, clock=clock,
        failpoint=failpoints.hit, questions=questions, health=health,
    )  # fmt: skip
    tasks, pages = TaskGroup(), pager(settings, DOMAIN)
    listening = asyncio.gather(_listen(rails), health.run())

    async def ready() -> bool:
        """Without ever having heard a rail no payment could be routed."""
        rails.accounts()
        return await database.ping()

    async def stop() -> None:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await tasks.drain()
        if hints is not None:
            await hints.close()
        for channel in channels.values():
            await channel.close()
        await database.close()

    return App(
        domain=DOMAIN,
        services=(
            (
                payment_service_pb2_grpc.add_PaymentServiceServicer_to_server,
                PaymentServicer(world, pages, tasks),
                "cashier.payments.v1.PaymentService",
            ),
            (
                payment_admin_service_pb2_grpc.add_PaymentAdminServiceServicer_to_server,
                PaymentAdminServicer(StepRecord(database), world, pages, tasks),
                "cashier.payments.v1.PaymentAdminService",
            ),
        ),
        workers=(
            Worker("sealer", Sealer(database).step, SEAL_PERIOD_S),
            Worker(
                "reaper",
                Reaper(database, key_life_days=settings.idempotency_key_life_days).step,
                REAP_PERIOD_S,
            ),
            Worker("progress", Progress(world).step, PROGRESS_PERIOD_S),
            Worker("janitor", Janitor(world).step, JANITOR_PERIOD_S),
            *(
                Worker(
                    f"outcomes-{rail}-{shard}",
                    OutcomePull(rail, shard, world).step,
                    OUTCOMES_PERIOD_S,
                    interruptible=True,  # it waits for what rails tell; a cut one pulls again
                )
                for rail in rails.rails
                for shard in range(SHARD_COUNT)
            ),
            *(
                Worker(
                    f"decisions-{shard}",
                    DecisionPull(shard, world).step,
                    DECISIONS_PERIOD_S,
                    interruptible=True,
                )
                for shard in range(SHARD_COUNT)
            ),
        )
        if role is Role.WORK
        else (),
        readiness=ready,
        on_stop=stop,
    )


async def _listen(rails: RailClients) -> None:
    """Keep the table of accounts fresh for as long as the process lives."""
    while True:
        with contextlib.suppress(Exception):  # a rail that cannot be heard was logged
            await rails.refresh()
        await asyncio.sleep(REFRESH_S if rails.heard else FIRST_HEARING_S)
