"""The book of calls: every statement on their table, compiled once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import bindparam, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import insert

from cashier_common.db.audit import LATE_PREFIX, STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.statement import compiled
from cashier_common.db.transaction import UnitOfWork
from cashier_common.money import Money
from cashier_gateway.domain.account import TIMEOUT_MAX_S
from cashier_gateway.domain.call import Call, Request
from cashier_gateway.domain.errors import LeaseLost, OperationKnown
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.domain.outcome import Outcome
from cashier_gateway.flows.ports import LATE_SOURCES, Move, Origin
from cashier_gateway.flows.send import RECORD_PAUSES_S
from cashier_gateway.storage.payer_seal import PayerSeal
from cashier_gateway.storage.tables import calls

# What an owner needs at the most: two exchanges with the processor (create, confirm), the patience
# with a database that is away, and as much again as the slowest exchange takes for a slow machine.
LEASE: Final = timedelta(seconds=2 * TIMEOUT_MAX_S + sum(RECORD_PAUSES_S) + TIMEOUT_MAX_S)
# How long a payer is kept of what stays in doubt: no processor promises to know a key for longer,
# and without one nothing is sent again.
PAYER_KEPT_MAX: Final = timedelta(hours=24)
_UNKNOWN: Final = frozenset({State.SUBMITTING, State.IN_DOUBT})

_now: Final = func.clock_timestamp()
_this_call: Final = (
    calls.c.merchant == bindparam("the_merchant"),
    calls.c.operation == bindparam("the_operation"),
)
# A fence moves the version, a take-over the epoch: after either, an earlier owner writes nothing.
_still_ours: Final = (
    *_this_call,
    calls.c.version == bindparam("the_version"),
    calls.c.lease_epoch == bindparam("the_epoch"),
)
_row: Final = select(calls, (calls.c.lease_until < _now).label("lapsed"))

_COLUMNS: Final = (
    "merchant", "operation", "account", "amount_minor", "asset", "downstream_key", "state",
    "version", "lease_epoch", "fenced", "fingerprint", "request", "expire_at", "reference",
    "outcome", "traceparent", "created_at", "payer",
)  # fmt: skip
INSERT: Final = compiled(
    insert(calls)
    .values(lease_until=_now + literal(LEASE), **{name: bindparam(name) for name in _COLUMNS})
    .on_conflict_do_nothing()
)
_MOVING_COLUMNS: Final = ("state", "version", "lease_epoch", "fenced", "reference", "outcome")
ADVANCE: Final = compiled(update(calls).where(*_still_ours), columns=_MOVING_COLUMNS)
# Once the outcome is known nobody sends the request again, so nobody needs to know who pays.
ADVANCE_AND_FORGET: Final = compiled(
    update(calls).where(*_still_ours).values(payer=null()), columns=_MOVING_COLUMNS
)
FORGET: Final = compiled(
    update(calls)
    .where(calls.c.payer.is_not(None), calls.c.created_at < _now - literal(PAYER_KEPT_MAX))
    .values(payer=null())
)
KEEP_REFERENCE: Final = compiled(update(calls).where(*_still_ours), columns=("reference",))
FIND: Final = compiled(_row.where(*_this_call))
LOCK: Final = compiled(_row.where(*_this_call).with_for_update())
TAKE_OVER: Final = compiled(
    update(calls)
    .where(
        *_still_ours, calls.c.state == literal(State.SUBMITTING.value), calls.c.lease_until < _now
    )
    .values(lease_epoch=calls.c.lease_epoch + 1, lease_until=_now + literal(LEASE))
    .returning(*calls.c, literal(False).label("lapsed"))  # noqa: FBT003 - a value, not a flag
)
LIST_ABANDONED: Final = compiled(
    _row.where(calls.c.state == literal(State.SUBMITTING.value), calls.c.lease_until < _now)
    .order_by(calls.c.lease_until)
    .limit(bindparam("most"))
)


class CallBook:
    """`flows.ports.Book` on PostgreSQL. Without a `seal` payers are not kept at all."""

    def __init__(self, database: Database, seal: PayerSeal | None = None) -> None:
        self._database, self._seal = database, seal

    def begin(self) -> UnitOfWork:
        return self._database.begin()

    def add(self, tx: UnitOfWork, call: Call, origin: Origin) -> None:
        event = Event.FENCE if call.fenced else Event.SUBMIT
        tx.write(
            INSERT,
            expect=1,
            refusal=OperationKnown,
            merchant=call.merchant,
            operation=call.operation,
            account=call.account,
            amount_minor=call.amount.minor,
            asset=call.amount.asset,
            downstream_key=call.downstream_key,
            fingerprint=call.fingerprint,
            request=call.request.to_json() if call.request else None,
            expire_at=call.expire_at,
            traceparent=call.traceparent,
            created_at=call.created_at,
            payer=self._seal.close(call) if self._seal and call.payer else None,
            **_state(call),
        )
        _step(tx, call, before=State.ABSENT, event=event, source=event, origin=origin)

    def advance(self, tx: UnitOfWork, move: Move, origin: Origin) -> None:
        before, after = move.before, move.after
        statement = ADVANCE if after.state in _UNKNOWN else ADVANCE_AND_FORGET
        tx.write(statement, expect=1, refusal=LeaseLost, **_guard(before), **_state(after))
        _step(tx, after, before=before.state, event=move.event, source=move.source, origin=origin)

    def keep_reference(self, tx: UnitOfWork, call: Call, reference: str) -> None:
        tx.write(KEEP_REFERENCE, expect=1, refusal=LeaseLost, **_guard(call), reference=reference)

    async def lock(self, tx: UnitOfWork, *, merchant: str, operation: str) -> Call | None:
        row = await tx.read_one(LOCK, the_merchant=merchant, the_operation=operation)
        return None if row is None else self._call(row)

    async def find(self, *, merchant: str, operation: str) -> Call | None:
        row = await self._database.fetch_one(FIND, the_merchant=merchant, the_operation=operation)
        return None if row is None else self._call(row)

    async def take_over(self, call: Call) -> Call | None:
        row = await self._database.fetch_one(TAKE_OVER, **_guard(call))
        return None if row is None else self._call(row)

    async def list_abandoned(self, limit: int) -> list[Call]:
        return [self._call(row) for row in await self._database.fetch(LIST_ABANDONED, most=limit)]

    async def forget_payers(self) -> int:
        """Erase who pays of calls that stayed in doubt for too long; 0, so that a worker rests."""
        await self._database.execute(FORGET)
        return 0

    def _call(self, row: asyncpg.Record) -> Call:
        call = _call(row)
        if row["payer"] is None or self._seal is None:
            return call
        return replace(call, payer=self._seal.open(call, row["payer"]))


def _guard(call: Call) -> dict[str, Any]:
    return {
        "the_merchant": call.merchant,
        "the_operation": call.operation,
        "the_version": call.version,
        "the_epoch": call.lease_epoch,
    }


def _state(call: Call) -> dict[str, Any]:
    return {
        "state": call.state.value,
        "version": call.version,
        "lease_epoch": call.lease_epoch,
        "fenced": call.fenced,
        "reference": call.reference,
        "outcome": call.outcome.to_json() if call.outcome else None,
    }


def _step(
    tx: UnitOfWork, call: Call, *, before: State, event: Event, source: str, origin: Origin
) -> None:
    """One row is step, audit record and event: its payload is what StreamOutcomes tells."""
    payload: dict[str, Any] = {
        "source": source,
        "account": call.account,
        "amount": [call.amount.minor, call.amount.asset],
        "reference": call.reference,
    }
    if call.outcome is not None:
        payload["outcome"] = call.outcome.to_json(secrets=False)
    step: dict[str, Any] = step_params(
        merchant=call.merchant,
        subject=call.operation,
        version=call.version,
        actor=origin.actor,
        action=f"{LATE_PREFIX if source in LATE_SOURCES else ''}{event.value}",
        before_state=before.value,
        after_state=call.state.value,
        payload=payload,
        traceparent=origin.traceparent,
    )
    tx.write(STEP, **step)


def _call(row: asyncpg.Record) -> Call:
    request, outcome = row["request"], row["outcome"]
    return Call(
        merchant=row["merchant"],
        operation=row["operation"],
        account=row["account"],
        amount=Money(row["amount_minor"], row["asset"]),
        downstream_key=row["downstream_key"],
        state=State(row["state"]),
        version=row["version"],
        lease_epoch=row["lease_epoch"],
        fingerprint=row["fingerprint"],
        request=Request.from_json(orjson.loads(request)) if request else None,
        created_at=row["created_at"],
        expire_at=row["expire_at"],
        reference=row["reference"],
        outcome=Outcome.from_json(orjson.loads(outcome)) if outcome else None,
        fenced=row["fenced"],
        lapsed=row["lapsed"],
        traceparent=row["traceparent"],
    )
