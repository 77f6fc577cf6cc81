"""The gateway's inbox of webhooks in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from cashier_gateway.domain.call import Call
from cashier_gateway.domain.errors import LeaseLost
from cashier_gateway.domain.notice import Notice
from cashier_gateway.flows.notice_ports import Due, InboxState, Letter, Note, Seen
from cashier_gateway.flows.ports import WEBHOOK, Origin
from tests.simulation.database import Database, Unit, Write
from tests.simulation.gateway_book import GatewayBook, GatewayTables, Mail


class Inbox:
    """See `cashier_gateway.flows.notice_ports.Letters`."""

    def __init__(self, database: Database, tables: GatewayTables, book: GatewayBook) -> None:
        self._database = database
        self._tables = tables
        self._book = book

    def begin(self) -> Unit:
        return self._database.begin()

    async def put(self, account: str, notices: Sequence[Notice], body: bytes) -> int:
        inbox, now = self._tables.inbox, self._database.now()
        for notice in notices:
            at, mail = (account, notice.event_id), Mail(notice.to_json(), now)
            await self._database.run(Write((), lambda: None, partial(inbox.setdefault, at, mail)))
        return len(notices)

    async def list_due(self, limit: int) -> list[Due]:
        def look() -> list[Due]:
            now, waiting = self._database.now(), InboxState.WAITING
            due = [
                at for at, m in self._tables.inbox.items() if m.state is waiting and m.due <= now
            ]
            return [Due(*at) for at in due[:limit]]

        return await self._database.read(look)

    async def open(self, tx: Unit, due: Due) -> Letter | None:
        at = (due.account, due.event_id)
        mail = self._tables.inbox[at]
        if self._database.is_locked(("mail", at)):
            return None
        await tx.lock(("mail", at))
        if mail.state is not InboxState.WAITING:
            return None
        return Letter(due.account, Notice.from_json(due.event_id, mail.notice), mail.tries)

    def settle(
        self, tx: Unit, due: Due, state: InboxState, *, result: str, pause: timedelta
    ) -> None:
        at = (due.account, due.event_id)
        mail = self._tables.inbox[at]

        def apply() -> None:
            mail.state, mail.result, mail.tries = state, result, mail.tries + 1
            mail.due = self._database.now() + pause

        tx.write(Write((("mail", at),), lambda: None, apply))

    async def about(self, tx: Unit, account: str, notice: Notice) -> list[Seen]:
        def look() -> list[Seen]:
            known = self._tables.by_reference
            names = set(known.get(("", notice.operation), ()))
            for reference in notice.references:
                names |= known.get((account, reference), set())
            return [_seen(self._tables.calls[name]) for name in sorted(names)]

        return await tx.read(look)

    async def acting_on(self, tx: Unit, account: str, references: Sequence[str]) -> list[Seen]:
        def look() -> list[Seen]:
            rows = [call for call in self._tables.calls.values() if call.account == account]
            return [
                _seen(call)
                for call in rows
                if call.request and call.request.authorization_reference in references
            ]

        return await tx.read(look)

    async def find_note(self, tx: Unit, call: Call, note: Note) -> Note | None:
        return await tx.read(lambda: self._tables.notes.get(_place(call, note)))

    def add_note(
        self, tx: Unit, call: Call, note: Note, payload: dict[str, Any], origin: Origin
    ) -> None:
        name = (call.merchant, call.operation)

        def apply() -> None:
            row = replace(self._tables.calls[name], version=call.version + 1)
            self._book.written(row, call.state, note.kind.value, WEBHOOK, payload)

        def moved() -> Exception | None:
            return None if self._tables.calls[name].version == call.version else LeaseLost()

        tx.write(Write((("call", name),), moved, apply))
        self.remember(tx, call, note)

    def remember(self, tx: Unit, call: Call, note: Note) -> None:
        place = _place(call, note)
        tx.write(Write((), lambda: None, lambda: self._tables.notes.__setitem__(place, note)))


def _place(call: Call, note: Note) -> tuple[str, ...]:
    return (call.merchant, call.operation, note.kind.value, note.reference)


def _seen(call: Call) -> Seen:
    request = call.request
    return Seen(
        merchant=call.merchant, operation=call.operation, account=call.account, state=call.state,
        reference=call.reference, kind=request.kind if request else None,
        capture=bool(request and request.capture),
    )  # fmt: skip
