"""The inbox of webhooks, and what processors told of calls beside their outcomes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import and_, bindparam, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, insert
from sqlalchemy.types import Text

from cashier_common.db.audit import LATE_PREFIX, STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.statement import compiled
from cashier_common.db.transaction import UnitOfWork
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.errors import LeaseLost
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.notice import Notice
from cashier_gateway.flows.notice_ports import Due, InboxState, Letter, Note, NoteKind, Seen
from cashier_gateway.flows.ports import Origin
from cashier_gateway.storage.gathered import GatheredLetters
from cashier_gateway.storage.tables import calls, inbox, notes

_now: Final = func.clock_timestamp()
_this: Final = (
    inbox.c.account == bindparam("the_account"),
    inbox.c.event_id == bindparam("the_event"),
)
DUE: Final = compiled(
    select(inbox.c.account, inbox.c.event_id)
    .where(inbox.c.state == literal(InboxState.WAITING.value), inbox.c.next_at <= _now)
    .order_by(inbox.c.next_at)
    .limit(bindparam("most"))
)
OPEN: Final = compiled(
    select(inbox.c.notice, inbox.c.tries)
    .where(*_this, inbox.c.state == literal(InboxState.WAITING.value))
    .with_for_update(skip_locked=True)
)
SETTLE: Final = compiled(
    update(inbox)
    .where(*_this)
    .values(
        state=bindparam("to_state"),
        result=bindparam("told"),
        tries=inbox.c.tries + 1,
        next_at=_now + cast(bindparam("pause"), INTERVAL),
        settled_at=_now,
    )
)
_seen: Final = select(
    calls.c.merchant,
    calls.c.operation,
    calls.c.account,
    calls.c.state,
    calls.c.reference,
    calls.c.request["kind"].astext.label("kind"),
    (calls.c.request["capture"].astext == "true").label("capture"),
)
BY_OPERATION: Final = compiled(_seen.where(calls.c.operation == bindparam("the_operation")))
BY_REFERENCE: Final = compiled(
    _seen.where(
        calls.c.account == bindparam("the_account"),
        calls.c.reference == func.any(bindparam("some", type_=ARRAY(Text))),
        calls.c.reference != literal(""),
    )
)
ACTING_ON: Final = compiled(
    _seen.where(
        calls.c.account == bindparam("the_account"),
        calls.c.request["authorization_reference"].astext
        == func.any(bindparam("some", type_=ARRAY(Text))),
    )
)
DISPUTED: Final = compiled(
    _seen.join(
        notes, and_(notes.c.merchant == calls.c.merchant, notes.c.operation == calls.c.operation)
    ).where(
        notes.c.kind == literal(NoteKind.DISPUTED.value),
        notes.c.reference == bindparam("the_reference"),
        calls.c.account == bindparam("the_account"),
    )
)
BUMP: Final = compiled(
    update(calls).where(
        calls.c.merchant == bindparam("the_merchant"),
        calls.c.operation == bindparam("the_operation"),
        calls.c.version == bindparam("the_version"),
    ),
    columns=("version",),
)
FIND_NOTE: Final = compiled(
    select(notes.c.facts, notes.c.occurred_at).where(
        notes.c.merchant == bindparam("the_merchant"),
        notes.c.operation == bindparam("the_operation"),
        notes.c.kind == bindparam("the_kind"),
        notes.c.reference == bindparam("the_reference"),
    )
)
_note: Final = insert(notes).values(
    **{
        name: bindparam(name)
        for name in ("merchant", "operation", "kind", "reference", "facts", "occurred_at")
    }
)
WRITE_NOTE: Final = compiled(
    _note.on_conflict_do_update(
        index_elements=["merchant", "operation", "kind", "reference"],
        set_={"facts": _note.excluded.facts, "occurred_at": _note.excluded.occurred_at},
    )
)


class Inbox:
    """`flows.notice_ports.Letters` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered = GatheredLetters(database)

    def begin(self) -> UnitOfWork:
        return self._database.begin()

    async def put(self, account: str, notices: Sequence[Notice], body: bytes) -> int:
        return await self._gathered.put(account, notices, body)

    async def list_due(self, limit: int) -> list[Due]:
        rows = await self._database.fetch(DUE, most=limit)
        return [Due(row["account"], row["event_id"]) for row in rows]

    async def open(self, tx: UnitOfWork, due: Due) -> Letter | None:
        row = await tx.read_one(OPEN, the_account=due.account, the_event=due.event_id)
        if row is None:
            return None
        notice = Notice.from_json(due.event_id, orjson.loads(row["notice"]))
        return Letter(due.account, notice, row["tries"])

    def settle(
        self, tx: UnitOfWork, due: Due, state: InboxState, *, result: str, pause: timedelta
    ) -> None:
        tx.write(
            SETTLE, expect=1, the_account=due.account, the_event=due.event_id,
            to_state=state.value, told=result, pause=pause,
        )  # fmt: skip

    async def about(self, tx: UnitOfWork, account: str, notice: Notice) -> list[Seen]:
        found: dict[str, Seen] = {}
        if notice.operation:
            for row in await tx.read(BY_OPERATION, the_operation=notice.operation):
                found[row["operation"]] = _seen_of(row)
        if notice.references:
            some = list(notice.references)
            for row in await tx.read(BY_REFERENCE, the_account=account, some=some):
                found[row["operation"]] = _seen_of(row)
        return list(found.values())

    async def acting_on(
        self, tx: UnitOfWork, account: str, references: Sequence[str]
    ) -> list[Seen]:
        rows = await tx.read(ACTING_ON, the_account=account, some=list(references))
        return [_seen_of(row) for row in rows]

    async def disputed(self, tx: UnitOfWork, account: str, reference: str) -> list[Seen]:
        rows = await tx.read(DISPUTED, the_account=account, the_reference=reference)
        return [_seen_of(row) for row in rows]

    async def find_note(self, tx: UnitOfWork, call: Call, note: Note) -> Note | None:
        row = await tx.read_one(
            FIND_NOTE, the_merchant=call.merchant, the_operation=call.operation,
            the_kind=note.kind.value, the_reference=note.reference,
        )  # fmt: skip
        if row is None:
            return None
        return Note(note.kind, note.reference, orjson.loads(row["facts"]), row["occurred_at"])

    def add_note(
        self, tx: UnitOfWork, call: Call, note: Note, payload: dict[str, Any], origin: Origin
    ) -> None:
        tx.write(
            BUMP, expect=1, refusal=LeaseLost, the_merchant=call.merchant,
            the_operation=call.operation, the_version=call.version, version=call.version + 1,
        )  # fmt: skip
        self.remember(tx, call, note)
        step: dict[str, Any] = step_params(
            merchant=call.merchant,
            subject=call.operation,
            version=call.version + 1,
            actor=origin.actor,
            action=f"{LATE_PREFIX}{note.kind.value}",
            before_state=call.state.value,
            after_state=call.state.value,
            payload=payload,
            traceparent=origin.traceparent,
        )
        tx.write(STEP, **step)

    def remember(self, tx: UnitOfWork, call: Call, note: Note) -> None:
        tx.write(
            WRITE_NOTE, expect=1, merchant=call.merchant, operation=call.operation,
            kind=note.kind.value, reference=note.reference, facts=note.facts,
            occurred_at=note.occurred_at,
        )  # fmt: skip


def _seen_of(row: asyncpg.Record) -> Seen:
    return Seen(
        merchant=row["merchant"],
        operation=row["operation"],
        account=row["account"],
        state=State(row["state"]),
        reference=row["reference"],
        kind=Kind(row["kind"]) if row["kind"] else None,
        capture=bool(row["capture"]),
    )
