"""The composition root: every object of the gateway is made here and nowhere else."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from cashier.gateway.v1 import (
    gateway_admin_service_pb2,
    gateway_admin_service_pb2_grpc,
    gateway_service_pb2,
    gateway_service_pb2_grpc,
)
from cashier_common.clock import SystemClock
from cashier_common.db.engine import Database
from cashier_common.db.follow import SealedRecord
from cashier_common.db.reaper import PERIOD_S as REAP_PERIOD_S
from cashier_common.db.reaper import Reaper
from cashier_common.db.sealer import PERIOD_S as SEAL_PERIOD_S
from cashier_common.db.sealer import Sealer
from cashier_common.health.monitor import Monitor
from cashier_common.redis.client import Hints
from cashier_common.rpc.paging import pager
from cashier_common.service import App, Role
from cashier_common.settings import Environment, SettingsRefused, split_address
from cashier_common.worker import Worker
from cashier_gateway.clients.adyen.adapter import AdyenProcessor
from cashier_gateway.clients.bank.adapter import BankProcessor
from cashier_gateway.clients.dlocal.adapter import DLocalProcessor
from cashier_gateway.clients.sandbox.adapter import SandboxProcessor
from cashier_gateway.clients.stripe.adapter import StripeProcessor
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.flows.ach_ports import ClearingBank
from cashier_gateway.flows.exchange_files import ExchangeFiles
from cashier_gateway.flows.look_up import LookUp
from cashier_gateway.flows.ports import Processor
from cashier_gateway.flows.refresh_accounts import Terminals, Wiring
from cashier_gateway.flows.submit import Submit
from cashier_gateway.flows.take_notice import TakeNotice
from cashier_gateway.flows.under_way import UnderWay
from cashier_gateway.flows.watch import AccountWatch
from cashier_gateway.http.intake import Intake, open_intake
from cashier_gateway.rpc import codec
from cashier_gateway.rpc.admin_servicer import GatewayAdminServicer
from cashier_gateway.rpc.gateway_servicer import GatewayServicer
from cashier_gateway.settings import GatewaySettings
from cashier_gateway.storage.account_registry import AccountRegistry
from cashier_gateway.storage.accounts import (
    check_account,
    load_accounts,
    resolve,
    resolve_credential,
    resolve_webhook_secrets,
)
from cashier_gateway.storage.ach import AchBook
from cashier_gateway.storage.calls import CallBook
from cashier_gateway.storage.inbox import Inbox
from cashier_gateway.storage.notice_desk import NoticeDesk
from cashier_gateway.storage.payer_seal import PayerSeal
from cashier_gateway.workers.accounts import PERIOD_S as ACCOUNTS_PERIOD_S
from cashier_gateway.workers.accounts import AccountKeeper
from cashier_gateway.workers.inbox import PERIOD_S as INBOX_PERIOD_S
from cashier_gateway.workers.inbox import Postman
from cashier_gateway.workers.inbox_keeper import PERIOD_S as KEEP_PERIOD_S
from cashier_gateway.workers.inbox_keeper import InboxKeeper
from cashier_gateway.workers.resume import PERIOD_S as RESUME_PERIOD_S
from cashier_gateway.workers.resume import Resumer

DOMAIN: Final = "gateway.cashier"
SERVICE: Final = gateway_service_pb2.DESCRIPTOR.services_by_name["GatewayService"].full_name
ADMIN: Final = gateway_admin_service_pb2.DESCRIPTOR.services_by_name[
    "GatewayAdminService"
].full_name
# How often payers are looked for that were kept for too long.
PAYERS_PERIOD_S: Final = 600.0
# How often entries are looked for that have waited long enough, and reports of banks.
CLEARING_PERIOD_S: Final = 1.0
ADAPTERS: Final[Mapping[str, Callable[..., Processor]]] = {
    "adyen": AdyenProcessor,
    "bank": BankProcessor,
    "dlocal": DLocalProcessor,
    "sandbox": SandboxProcessor,
    "stripe": StripeProcessor,
}


async def build(settings: GatewaySettings, role: Role) -> App:
    """Open what the role needs; SettingsRefused says what is missing."""
    wire = partial(_wiring, development=settings.environment is Environment.DEVELOPMENT)
    seed = _seed(settings)
    for account in seed:
        wire(account)  # what the settings name can be used, or this does not start
    database = await Database.connect(settings.need("database_url"), name=f"gateway {role}")
    seal = PayerSeal.read(settings.payer_key) if settings.payer_key else None
    if seal is None and settings.environment is Environment.DEVELOPMENT:
        seal = PayerSeal.for_development()
    book, clock, under_way = CallBook(database, seal), SystemClock(), UnderWay()
    redis_url = settings.redis_url.get_secret_value()
    hints = await Hints.connect(redis_url) if redis_url else None
    monitor = Monitor(codec.RAIL, clock, hints)
    registry, record = AccountRegistry(database), SealedRecord(database)
    terminals = Terminals(
        registry,
        wire,
        partial(_adapter, database=database),
        clock,
        watch_of=lambda account: _watch(account, monitor),
    )
    keeper = AccountKeeper(
        registry, terminals, seed, only_empty=settings.processor_accounts is None
    )
    await keeper.start()
    keeping = asyncio.create_task(
        Worker("accounts", keeper.step, ACCOUNTS_PERIOD_S).run(asyncio.Event())
    )
    watching = asyncio.create_task(monitor.run())
    servicer = GatewayServicer(
        submit=Submit(book, terminals, under_way, clock),
        run_look_up=LookUp(book, terminals, clock),
        terminals=terminals,
        record=record,
        monitor=monitor,
        clock=clock,
    )

    letters, desk, intake = Inbox(database), NoticeDesk(database), None
    postman = Postman(letters, TakeNotice(letters, book, terminals, clock))
    admin = GatewayAdminServicer(desk, postman.take_now, record.verify, pager(settings, DOMAIN))
    if settings.webhook_listen and role is Role.SERVE:
        host, port = split_address(settings.webhook_listen)
        intake = await open_intake(Intake(letters, terminals), host, port)

    async def stop() -> None:
        if intake is not None:
            await intake.cleanup()
        await under_way.drain()
        keeping.cancel()
        watching.cancel()
        await asyncio.gather(keeping, watching, return_exceptions=True)
        await terminals.close()
        if hints is not None:
            await hints.close()
        await database.close()

    async def ready() -> bool:
        return keeper.is_seeded and await database.ping()

    return App(
        domain=DOMAIN,
        services=[
            (gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server, servicer, SERVICE),
            (
                gateway_admin_service_pb2_grpc.add_GatewayAdminServiceServicer_to_server,
                admin,
                ADMIN,
            ),
        ],
        workers=[
            Worker("sealer", Sealer(database).step, SEAL_PERIOD_S),
            Worker("payers", book.forget_payers, PAYERS_PERIOD_S),
            Worker("resume", Resumer(book, terminals, clock).step, RESUME_PERIOD_S),
            Worker("inbox", postman.step, INBOX_PERIOD_S),
            Worker(
                "clearing", ExchangeFiles(AchBook(database), letters, terminals), CLEARING_PERIOD_S
            ),
            Worker("inbox_keeper", InboxKeeper(desk, terminals, clock).step, KEEP_PERIOD_S),
            Worker(
                "reaper",
                Reaper(database, key_life_days=settings.idempotency_key_life_days).step,
                REAP_PERIOD_S,
            ),
        ],
        readiness=ready,
        on_stop=stop,
    )


def _watch(account: ProcessorAccount, monitor: Monitor) -> AccountWatch:
    monitor.watch(account.account_id)
    return AccountWatch(account, monitor)


def _seed(settings: GatewaySettings) -> tuple[ProcessorAccount, ...]:
    """What a start applies: the file in the settings, or in development the sandbox's accounts."""
    if settings.processor_accounts is None and settings.environment is Environment.PRODUCTION:
        return ()
    return load_accounts(settings.processor_accounts)


def _wiring(account: ProcessorAccount, *, development: bool) -> Wiring:
    check_account(account, ADAPTERS, development=development)
    return Wiring(
        base_url=resolve(account.base_url, of=f"base_url of {account.account_id}"),
        credential=resolve_credential(account, development=development),
        webhook_secrets=resolve_webhook_secrets(account, development=development),
    )


def _adapter(account: ProcessorAccount, wiring: Wiring, *, database: Database) -> Processor:
    # A bank's entries are rows that a file takes later; nobody else's adapter needs any.
    rows = {"entries": AchBook(database)} if account.processor == "bank" else {}
    return ADAPTERS[account.processor](
        account,
        base_url=wiring.base_url,
        credential=wiring.credential,
        webhook_secrets=wiring.webhook_secrets,
        **rows,
    )


async def open_bank(
    settings: GatewaySettings, database: Database, account_id: str
) -> tuple[ExchangeFiles, ClearingBank]:
    """What a command needs to read a bank's files; SettingsRefused where the account is no bank."""
    for kept in await AccountRegistry(database).all():
        if kept.account_id == account_id:
            account = ProcessorAccount.model_validate(kept.document)
            wiring = _wiring(account, development=settings.environment is Environment.DEVELOPMENT)
            processor = _adapter(account, wiring, database=database)
            if isinstance(processor, ClearingBank):
                return ExchangeFiles(AchBook(database), Inbox(database), {}), processor
            raise SettingsRefused(f"account {account_id} is at {account.processor}, not at a bank")
    raise SettingsRefused(f"there is no account {account_id}: `accounts list` names them")
