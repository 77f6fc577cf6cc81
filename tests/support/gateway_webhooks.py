"""A gateway's webhook intake over real HTTP and PostgreSQL, its inbox worker, and calls to tell."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from cashier_common.clock import SystemClock
from cashier_common.money import Money
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.domain.outcome import Outcome
from cashier_gateway.flows.ports import ANSWER, Move, Terminal
from cashier_gateway.flows.stream_outcomes import LateOutcome
from cashier_gateway.flows.take_notice import TakeNotice
from cashier_gateway.http.intake import Intake, open_intake
from cashier_gateway.storage.inbox import Inbox
from cashier_gateway.workers.inbox import Postman
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import MERCHANT, ORIGIN, Rig, adapter, an_operation
from tests.support.gateway_sandbox import late_outcomes
from tests.support.notices import (
    ADYEN_KEY,
    MERCHANT_ACCOUNT,
    OLD_ADYEN_KEY,
    OLD_STRIPE_SECRET,
    STRIPE_SECRET,
    adyen_body,
    stripe_headers,
)

ADYEN, STRIPE, OTHER_STRIPE = "adyen-eu", "stripe-us", "stripe-uk"
_EVENTS = {
    State.IN_DOUBT: Event.LOSE_TRACK,
    State.PENDING: Event.PEND,
    State.ACTION_REQUIRED: Event.REQUIRE_ACTION,
    State.SUCCEEDED: Event.SUCCEED,
    State.DECLINED_HARD: Event.DECLINE_HARD,
    State.DECLINED_SOFT: Event.DECLINE_SOFT,
    State.NOT_FOUND: Event.CLOSE,
    State.CONFLICTED: Event.CONFLICT,
}


def hook_account(name: str, **changes: Any) -> ProcessorAccount:
    """An account whose processor is never asked in these tests; it only tells."""
    facts = {
        "account_id": name,
        "processor": name.partition("-")[0],
        "base_url": "http://127.0.0.1:9",
        "credential": "test:a-key",
        "honours_idempotency_keys": True,
        "merchant_account": MERCHANT_ACCOUNT if name == ADYEN else "",
        "webhook_secrets": [
            f"test:{secret}"
            for secret in (
                (ADYEN_KEY, OLD_ADYEN_KEY) if name == ADYEN else (STRIPE_SECRET, OLD_STRIPE_SECRET)
            )
        ],
        "assets": ["EUR", "USD", "JPY", "KWD"],
        "fees": {"version": "v1", "percent_bps": 100},
        "settlement_lag_days": 2,
    }
    return ProcessorAccount.model_validate(facts | changes)


@dataclass
class Hooks:
    """The intake on a port, and the worker behind it, which runs when the test says so."""

    rig: Rig
    runner: web.AppRunner
    inbox: Inbox

    @classmethod
    async def open(cls, service: ServiceDatabase) -> "Hooks":
        rig = await Rig.open(service)
        accounts = [hook_account(name) for name in (ADYEN, STRIPE, OTHER_STRIPE)]
        rig.terminals.update({one.account_id: Terminal(one, adapter(one)) for one in accounts})
        inbox = Inbox(rig.database)
        runner = await open_intake(Intake(inbox, rig.terminals), "127.0.0.1", 0)
        return cls(rig, runner, inbox)

    @property
    def postman(self) -> Postman:
        """The inbox worker of one replica."""
        take = TakeNotice(self.inbox, self.rig.book, self.rig.terminals, SystemClock())
        return Postman(self.inbox, take)

    async def post(self, account: str, body: bytes, headers: dict[str, str] | None = None) -> int:
        """Send one webhook; the HTTP status of its answer."""
        url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/webhooks/{account}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            return answer.status

    async def adyen(self, *items: dict[str, Any], take: bool = True) -> int:
        """Send items as Adyen would, and let the worker take them."""
        status = await self.post(ADYEN, adyen_body(*items))
        if take:
            await self.take()
        return status

    async def stripe(self, body: bytes, account: str = STRIPE) -> int:
        """Send an event as Stripe would, and let the worker take it."""
        status = await self.post(account, body, stripe_headers(body))
        await self.take()
        return status

    async def take(self) -> None:
        """Let the worker take what is due, what had to wait included."""
        await self.rig.as_owner("UPDATE inbox SET next_at = now() WHERE state = 'WAITING'")
        while await self.postman.step():
            pass

    async def call(
        self,
        state: State = State.PENDING,
        kind: Kind = Kind.AUTHORIZE,
        *,
        account: str = ADYEN,
        reference: str = "",
        operation: str = "",
        amount: Money = Money(1250, "EUR"),  # noqa: B008 - a value that nobody can change
        **request: Any,
    ) -> Call:
        """A call, of 12.50 EUR by default, that stands in this state."""
        asked = Request(kind, **({"capture": kind is Kind.AUTHORIZE} | request))
        command = Command(MERCHANT, operation or an_operation(), account, amount, asked)
        call = Call.submitted(command, b"f", traceparent="", at=datetime.now(UTC))
        call = replace(call, reference=reference)
        book = self.rig.book
        async with book.begin() as tx:
            book.add(tx, call, ORIGIN)
        if state is State.SUBMITTING:
            return call
        return await self.move(call, _EVENTS[state])

    async def move(self, call: Call, event: Event, reference: str = "") -> Call:
        """The call after its owner wrote an answer."""
        outcome = Outcome("as the test has it", datetime.now(UTC))
        after = call.advanced(event, outcome, reference)
        async with self.rig.book.begin() as tx:
            self.rig.book.advance(tx, Move(call, after, event, ANSWER), ORIGIN)
        return after

    async def stands(self, call: Call) -> Call:
        """The call as its row says now."""
        found = await self.rig.book.find(merchant=call.merchant, operation=call.operation)
        assert found is not None
        return found

    async def told(self, call: Call) -> list[LateOutcome]:
        """What StreamOutcomes tells of the call."""
        return await late_outcomes(self.rig, call.operation)

    async def letters(self, event_id: str = "") -> list[tuple[str, str, int]]:
        """State, result and tries of the letters, of all or of one event."""
        rows = await self.rig.as_owner(
            "SELECT state, result, tries FROM inbox WHERE $1 = '' OR event_id = $1", event_id
        )
        return [(row["state"], row["result"], row["tries"]) for row in rows]

    async def close(self) -> None:
        await self.runner.cleanup()
        await self.rig.close()


@pytest.fixture
async def hooks(service: ServiceDatabase) -> AsyncIterator[Hooks]:
    opened = await Hooks.open(service)
    await opened.rig.as_owner("TRUNCATE inbox")
    yield opened
    await opened.close()
