"""The composition root: every object of the process is made here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from cashier_sandbox.accounts import read_accounts
from cashier_sandbox.control.api import routes as control_routes
from cashier_sandbox.control.branch import Branch, Counter
from cashier_sandbox.domain.account import Account
from cashier_sandbox.domain.notice import Endpoint
from cashier_sandbox.flows.deliver_notice import RETOLD_S, Deliveries
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.ledger import Ledger
from cashier_sandbox.flows.outages import Outages
from cashier_sandbox.flows.resolve import schedule_due
from cashier_sandbox.flows.settle_ach import settle_for_ever
from cashier_sandbox.http.gate import gate
from cashier_sandbox.http.listener import Listener, application
from cashier_sandbox.http.postman import Postman
from cashier_sandbox.processors.imitation import IMITATIONS
from cashier_sandbox.settings import Settings, control_token
from cashier_sandbox.storage.ledger_file import LedgerFile
from cashier_sandbox.storage.settlement_files import SettlementFiles


class App:
    """The running sandbox; `ports` is known after `start`."""

    def __init__(self, settings: Settings) -> None:
        accounts = read_accounts(settings.accounts)
        self._file = LedgerFile(settings.data_dir / "ledger.jsonl", fsync=settings.fsync)
        ledger = Ledger(self._file, self._file.read(), _now)
        self._files = SettlementFiles(settings.data_dir / "settlements")
        self._postman = Postman()
        self.branch = Branch(ledger=ledger, files=self._files, seed=settings.seed, now=_now)
        self._listeners: list[Listener] = []
        self._clocks: list[asyncio.Task[None]] = []
        peers = frozenset(account.name for account in accounts)
        for account in accounts:
            self._open(account, settings, peers - {account.name})
        control = application(
            middleware=gate(control_token(settings)), routes=control_routes(self.branch)
        )
        self._control = Listener(control, settings.host, settings.control_port)
        self.branch.control = self._control
        self._shown_host = f"[{settings.host}]" if ":" in settings.host else settings.host

    @property
    def ports(self) -> dict[str, int]:
        """Where each account listens."""
        return {name: counter.listener.port for name, counter in self.branch.counters.items()}

    def _open(self, account: Account, settings: Settings, peers: frozenset[str]) -> None:
        imitation, ledger = IMITATIONS[account.imitates], self.branch.ledger
        desk = Desk(
            account=account,
            ledger=ledger,
            seed=settings.seed,
            keeps_failures=imitation.keeps_failures,
            peers=peers,
        )
        app = application(
            middleware=gate(account.api_key, desk, imitation.dialect),
            routes=imitation.routes(desk, self._files),
            body_max_bytes=imitation.body_max_bytes,
        )
        listener = Listener(app, settings.host, account.port)
        self._listeners.append(listener)
        deliveries = None
        if imitation.notices:
            strangers = partial(self._strangers, account)
            face = imitation.notices
            if imitation.signer:
                face = replace(face, sign=imitation.signer(account.name))
            deliveries = Deliveries(desk, face, self._postman, strangers)
            ledger.listeners[account.name] = deliveries.tell
        counter = Counter(desk, Outages(desk, listener), listener, deliveries)
        self.branch.counters[account.name] = counter

    def _strangers(self, account: Account) -> list[Endpoint]:
        """Endpoints of the other accounts that speak the account's API."""
        others = (counter.desk for counter in self.branch.counters.values())
        alike = [
            desk
            for desk in others
            if desk.account.imitates == account.imitates and desk.account.name != account.name
        ]
        return [endpoint for desk in alike for endpoint in desk.book.endpoints.values()]

    async def start(self) -> int:
        """Listen everywhere, the control port last; return the control port."""
        for listener in self._listeners:
            await listener.start()
        for counter in self.branch.counters.values():
            counter.desk.base_url = f"http://{self._shown_host}:{counter.listener.port}"
            for name in list(counter.desk.book.due):
                schedule_due(counter.desk, name)
            IMITATIONS[counter.desk.account.imitates].resume(counter.desk)
            if counter.desk.account.settles_every_s:
                self._clocks.append(asyncio.create_task(settle_for_ever(counter.desk)))
            if counter.deliveries:
                counter.deliveries.tell_again(_now(ago_s=RETOLD_S))
        await self._control.start()
        return self._control.port

    async def stop(self) -> None:
        """Let go of every port, then of the ledger file."""
        for clock in self._clocks:
            clock.cancel()
        for counter in self.branch.counters.values():
            counter.desk.outage_over.set()
            if counter.deliveries:
                await counter.deliveries.stop()
        for listener in [self._control, *self._listeners]:
            await listener.stop()
        await self._postman.close()
        self._file.close()


def _now(ago_s: float = 0.0) -> str:
    # isoformat takes a tenth of the time of strftime.
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat(timespec="microseconds")[
        :-6
    ] + "Z"
