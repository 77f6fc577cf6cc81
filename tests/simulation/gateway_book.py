"""The gateway's book of calls in memory, and the sealed record of what came late."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cashier_common.db.audit import LATE_PREFIX, SHARD_COUNT, SealedStep, shard_of
from cashier_gateway.domain.call import Call, Request
from cashier_gateway.domain.errors import LeaseLost, OperationKnown
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.domain.outcome import Outcome
from cashier_gateway.flows.notice_ports import InboxState, Note
from cashier_gateway.flows.ports import LATE_SOURCES, Move, Origin
from cashier_gateway.storage.calls import LEASE
from tests.simulation.database import Database, Unit, Write

Name = tuple[str, str]  # merchant and operation
SEAL_MAX_S = 1.0


@dataclass(frozen=True, slots=True)
class CallStep:
    """One step of a call, as it was written."""

    version: int
    before: State
    event: str
    after: State


@dataclass
class Mail:
    """A letter of the inbox."""

    notice: dict[str, Any]
    due: datetime
    state: InboxState = InboxState.WAITING
    tries: int = 0
    result: str = ""


@dataclass
class GatewayTables:
    """What the gateway's database holds."""

    calls: dict[Name, Call] = field(default_factory=dict)
    lease_until: dict[Name, datetime] = field(default_factory=dict)
    submitting: dict[Name, None] = field(default_factory=dict)
    history: dict[Name, list[CallStep]] = field(default_factory=dict)
    inbox: dict[tuple[str, str], Mail] = field(default_factory=dict)
    notes: dict[tuple[str, ...], Note] = field(default_factory=dict)
    by_reference: dict[tuple[str, str], set[Name]] = field(default_factory=dict)
    sealed: list[list[SealedStep]] = field(default_factory=lambda: [[] for _ in range(SHARD_COUNT)])


class GatewayBook:
    """`Book`, `Letters` and `Record` of the gateway's flows, on one simulated database."""

    def __init__(self, database: Database, tables: GatewayTables) -> None:
        self._database = database
        self._tables = tables
        self._told = [asyncio.Event() for _ in range(SHARD_COUNT)]
        self._unsealed: list[tuple[Call, State, str, str]] = []

    def begin(self) -> Unit:
        return self._database.begin()

    def add(self, tx: Unit, call: Call, origin: Origin) -> None:
        name, tables = (call.merchant, call.operation), self._tables
        event = Event.FENCE if call.fenced else Event.SUBMIT

        def apply() -> None:
            self._leased(name)
            self.written(call, State.ABSENT, event.value, event.value, _facts(call))

        known = OperationKnown
        tx.write(Write((("call", name),), lambda: known() if name in tables.calls else None, apply))

    def advance(self, tx: Unit, move: Move, origin: Origin) -> None:
        before, after = move.before, move.after
        name = (before.merchant, before.operation)

        def apply() -> None:
            # The statement writes these columns and no others.
            row = replace(
                self._tables.calls[name], state=after.state, version=after.version,
                lease_epoch=after.lease_epoch, fenced=after.fenced, reference=after.reference,
                outcome=_copied(after.outcome),
            )  # fmt: skip
            facts = _facts(after)
            self.written(row, before.state, move.event.value, move.source, facts)

        tx.write(Write((("call", name),), lambda: self._lost(before), apply))

    def keep_reference(self, tx: Unit, call: Call, reference: str) -> None:
        name = (call.merchant, call.operation)

        def apply() -> None:
            self._kept(replace(self._tables.calls[name], reference=reference))

        tx.write(Write((("call", name),), lambda: self._lost(call), apply))

    async def lock(self, tx: Unit, *, merchant: str, operation: str) -> Call | None:
        name = (merchant, operation)
        if name not in self._tables.calls:
            return await tx.read(lambda: None)  # no row, no lock
        await tx.lock(("call", name))
        return await tx.read(lambda: self._row(name))

    async def find(self, *, merchant: str, operation: str) -> Call | None:
        return await self._database.read(lambda: self._row((merchant, operation)))

    async def take_over(self, call: Call) -> Call | None:
        name, tables = (call.merchant, call.operation), self._tables
        taken: list[Call] = []

        def apply() -> None:
            row = tables.calls[name]
            is_left = row.state is State.SUBMITTING and self._lapsed(name)
            if is_left and self._lost(call) is None:
                tables.calls[name] = replace(row, lease_epoch=row.lease_epoch + 1)
                self._leased(name)
                taken.append(tables.calls[name])

        await self._database.run(Write((("call", name),), lambda: None, apply))
        return taken[0] if taken else None

    async def list_abandoned(self, limit: int) -> list[Call]:
        def look() -> list[Call]:
            left = [name for name in self._tables.submitting if self._lapsed(name)]
            left.sort(key=lambda name: self._tables.lease_until[name])
            return [row for name in left[:limit] if (row := self._row(name))]

        return await self._database.read(look)

    async def read(self, *, shard: int, after: int) -> list[SealedStep]:
        """Late steps behind a position; waits for one instead of asking again and again."""
        found = await self._database.read(lambda: self._tables.sealed[shard][after:])
        if not found:
            await self._told[shard].wait()
        return found

    def _row(self, name: Name) -> Call | None:
        row = self._tables.calls.get(name)
        if row is None:
            return None
        request = row.request and Request.from_json(json.loads(json.dumps(row.request.to_json())))
        return replace(row, lapsed=self._lapsed(name), request=request)

    def _lapsed(self, name: Name) -> bool:
        return self._tables.lease_until[name] < self._database.now()

    def _leased(self, name: Name) -> None:
        self._tables.lease_until[name] = self._database.now() + LEASE

    def _lost(self, call: Call) -> Exception | None:
        row = self._tables.calls.get((call.merchant, call.operation))
        if row is not None and (row.version, row.lease_epoch) == (call.version, call.lease_epoch):
            return None
        return LeaseLost()

    def _kept(self, row: Call) -> None:
        name, tables = (row.merchant, row.operation), self._tables
        tables.calls[name] = row
        tables.by_reference.setdefault(("", row.operation), set()).add(name)
        if row.reference:
            tables.by_reference.setdefault((row.account, row.reference), set()).add(name)
        if row.state is State.SUBMITTING:
            tables.submitting[name] = None
        else:
            tables.submitting.pop(name, None)

    def written(
        self, row: Call, before: State, event: str, source: str, facts: dict[str, Any]
    ) -> None:
        """The row and its step; what came late is sealed a little later, in this order."""
        self._kept(row)
        name = (row.merchant, row.operation)
        step = CallStep(row.version, before, event, row.state)
        self._tables.history.setdefault(name, []).append(step)
        if source in LATE_SOURCES:
            payload = json.dumps({"source": source, **facts})
            self._unsealed.append((row, before, event, payload))
            delay_s = self._database.rng.uniform(0.05, SEAL_MAX_S)
            self._database.loop.outside(delay_s, self._seal)

    def _seal(self) -> None:
        """Give positions to what is committed, in the order in which it was."""
        for row, before, event, payload in self._unsealed:
            shard = shard_of(row.merchant)
            chain = self._tables.sealed[shard]
            chain.append(
                SealedStep(
                    shard=shard,
                    position=len(chain) + 1,
                    merchant=row.merchant,
                    subject=row.operation,
                    version=row.version,
                    actor="",
                    action=f"{LATE_PREFIX}{event}",
                    before_state=before.value,
                    after_state=row.state.value,
                    payload=payload,
                    payload_hash=b"",
                    traceparent="",
                    record_time=self._database.now(),
                    chain_hash=b"",
                )
            )
            told, self._told[shard] = self._told[shard], asyncio.Event()
            told.set()
        self._unsealed.clear()


def _facts(call: Call) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "account": call.account,
        "amount": [call.amount.minor, call.amount.asset],
        "reference": call.reference,
    }
    if call.outcome is not None:
        facts["outcome"] = call.outcome.to_json(secrets=False)
    return facts


def _copied(outcome: Outcome | None) -> Outcome | None:
    """Through the row's JSON and back."""
    return outcome and Outcome.from_json(json.loads(json.dumps(outcome.to_json())))
