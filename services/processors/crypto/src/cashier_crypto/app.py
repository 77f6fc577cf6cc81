"""The composition root: every object of the crypto rail is made here and nowhere else."""

import asyncio
from functools import partial
from typing import Final

from cashier.crypto.v1 import crypto_rail_service_pb2, crypto_rail_service_pb2_grpc
from cashier.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc
from cashier_common.clock import SystemClock
from cashier_common.db.engine import Database
from cashier_common.db.follow import SealedRecord
from cashier_common.db.sealer import PERIOD_S as SEAL_PERIOD_S
from cashier_common.db.sealer import Sealer
from cashier_common.health.monitor import Monitor
from cashier_common.redis.client import Hints
from cashier_common.rpc.paging import pager
from cashier_common.service import App, Role
from cashier_common.settings import Environment
from cashier_common.worker import Worker
from cashier_crypto.clients.evm import EvmEndpoint
from cashier_crypto.domain.account import ProcessorAccount
from cashier_crypto.domain.health import of_accounts
from cashier_crypto.flows.authorize import Authorize
from cashier_crypto.flows.follow_chain import Watch
from cashier_crypto.flows.look_up import LookUp
from cashier_crypto.rpc import codec
from cashier_crypto.rpc.crypto_rail_servicer import CryptoRailServicer
from cashier_crypto.rpc.gateway_servicer import GatewayServicer
from cashier_crypto.settings import CryptoSettings
from cashier_crypto.storage.accounts import load_accounts
from cashier_crypto.storage.chain_record import ChainRecordStore
from cashier_crypto.storage.listing import TransferList
from cashier_crypto.storage.transfers import TransferBook
from cashier_crypto.workers.watcher import POOL_PERIOD_S, PoolFiller, Watcher

DOMAIN: Final = "crypto.cashier"
GATEWAY: Final = gateway_service_pb2.DESCRIPTOR.services_by_name["GatewayService"].full_name
CRYPTO_RAIL: Final = crypto_rail_service_pb2.DESCRIPTOR.services_by_name[
    "CryptoRailService"
].full_name


async def build(settings: CryptoSettings, role: Role) -> App:
    """Open what the role needs; SettingsRefused says what is missing."""
    accounts = load_accounts(
        settings.processor_accounts,
        development=settings.environment is Environment.DEVELOPMENT,
        has_chain=bool(settings.chain_url),
    )
    database = await Database.connect(settings.need("database_url"), name=f"crypto {role}")
    book, record, clock = TransferBook(database), ChainRecordStore(database), SystemClock()
    watch = watch_of(accounts)
    redis_url = settings.redis_url.get_secret_value()
    hints = await Hints.connect(redis_url) if redis_url else None
    monitor = Monitor(codec.RAIL, clock, hints, told_as=partial(of_accounts, [*accounts]))
    watching_health = asyncio.create_task(monitor.run())
    endpoints = [
        EvmEndpoint.at(url, chain=watch.chain, monitor=monitor)
        for url in dict.fromkeys((settings.chain_url, *settings.witnesses))
        if url
    ]
    sealed = SealedRecord(database)
    gateway = GatewayServicer(
        run_authorize=Authorize(book, accounts, clock),
        run_look_up=LookUp(book, record, accounts, endpoints[0] if endpoints else None, clock),
        accounts=accounts,
        record=sealed,
        monitor=monitor,
        clock=clock,
    )
    rail = CryptoRailServicer(TransferList(database), sealed.verify, pager(settings, DOMAIN))
    watcher = Watcher(book, record, endpoints, accounts, watch, clock)
    watching = Worker("watcher", watcher.step, settings.chain_poll_s, interruptible=True)

    async def stop() -> None:
        watching_health.cancel()
        await asyncio.gather(watching_health, return_exceptions=True)
        if hints is not None:
            await hints.close()
        for endpoint in endpoints:
            await endpoint.close()
        await database.close()

    return App(
        domain=DOMAIN,
        services=[
            (gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server, gateway, GATEWAY),
            (
                crypto_rail_service_pb2_grpc.add_CryptoRailServiceServicer_to_server,
                rail,
                CRYPTO_RAIL,
            ),
        ],
        workers=[
            Worker("sealer", Sealer(database).step, SEAL_PERIOD_S),
            Worker("pool", PoolFiller(book, accounts).step, POOL_PERIOD_S),
            *([watching] if endpoints else []),
        ],
        readiness=database.ping,
        on_stop=stop,
    )


def watch_of(accounts: dict[str, ProcessorAccount]) -> Watch:
    """What the accounts want to know of their chain; they are all on one."""
    every = list(accounts.values())
    return Watch(
        chain=every[0].chain,
        start_block=min(account.start_block for account in every),
        contracts=frozenset(token.contract for account in every for token in account.tokens),
    )
