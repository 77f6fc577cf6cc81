"""The inbox for people: its pages, what operators change, and how it forgets."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL
from sqlalchemy.types import Text

from cashier_common.db import requests
from cashier_common.db.audit import STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.statement import compiled
from cashier_common.db.transaction import UnitOfWork
from cashier_common.errors import RaceLost
from cashier_gateway.domain.notice import Notice
from cashier_gateway.flows.notice_desk import Backlog, Filter, KeptLetter
from cashier_gateway.flows.notice_ports import Due, InboxState
from cashier_gateway.flows.ports import Origin
from cashier_gateway.flows.take_notice import Taken
from cashier_gateway.storage.tables import inbox

OF_NO_MERCHANT: Final = ""
"""Of steps and keys that are about a letter: which merchant it is about may be unknown."""
REAP_BATCH_MAX: Final = 1_000
DOUBTFUL: Final = (Taken.UNMATCHED, Taken.OTHER_ACCOUNT, Taken.MISMATCHED)

_now: Final = func.clock_timestamp()
_moment: Final = DateTime(timezone=True)
_this: Final = (
    inbox.c.account == bindparam("the_account"),
    inbox.c.event_id == bindparam("the_event"),
)
_facts: Final = select(inbox)
FIND: Final = compiled(_facts.where(*_this))
LOCK: Final = compiled(_facts.where(*_this).with_for_update())
_key: Final = tuple_(inbox.c.received_at, inbox.c.account, inbox.c.event_id)
_from: Final = bindparam("received_from", type_=_moment)
_before: Final = bindparam("received_before", type_=_moment)
_after: Final = bindparam("after_at", type_=_moment)


def _matches(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    value = bindparam(name, type_=Text)
    return or_(value == literal(""), column == value)


PAGE: Final = compiled(
    _facts.where(
        _matches(inbox.c.account, "account"),
        _matches(inbox.c.state, "state"),
        _matches(func.split_part(inbox.c.result, literal(":"), literal(1)), "result"),
        _matches(inbox.c.notice["operation"].astext, "operation"),
        or_(_from.is_(null()), inbox.c.received_at >= _from),
        or_(_before.is_(null()), inbox.c.received_at < _before),
        or_(
            _after.is_(null()),
            _key
            < tuple_(
                _after, bindparam("after_account", type_=Text), bindparam("after_event", type_=Text)
            ),
        ),
    )
    .order_by(inbox.c.received_at.desc(), inbox.c.account.desc(), inbox.c.event_id.desc())
    .limit(bindparam("most", type_=Integer))
)
CHANGE: Final = compiled(
    update(inbox)
    .where(*_this, inbox.c.version == bindparam("the_version"))
    .values(
        state=bindparam("to_state"),
        result=bindparam("told"),
        version=inbox.c.version + 1,
        tries=0,
        next_at=_now,
        settled_at=_now,
    )
)
BACKLOG: Final = compiled(
    select(
        inbox.c.state,
        func.count().label("count"),
        func.min(inbox.c.received_at).label("oldest_at"),
    )
    .where(inbox.c.state != literal(InboxState.DONE.value))
    .group_by(inbox.c.state)
)
_life: Final = case(
    (
        inbox.c.result.in_([literal(one.value) for one in DOUBTFUL]),
        cast(bindparam("doubtful_life"), INTERVAL),
    ),
    else_=cast(bindparam("life"), INTERVAL),
)
_worn: Final = (
    select(inbox.c.account, inbox.c.event_id)
    .where(
        inbox.c.state == literal(InboxState.DONE.value),
        inbox.c.notice.is_not(null()),
        inbox.c.settled_at < _now - _life,
    )
    .order_by(inbox.c.settled_at)
    .limit(REAP_BATCH_MAX)
    .with_for_update(skip_locked=True)
    .cte("worn")
)
FORGET_FACTS: Final = compiled(
    update(inbox)
    .where(inbox.c.account == _worn.c.account, inbox.c.event_id == _worn.c.event_id)
    .values(notice=null())
)
_stale: Final = (
    select(inbox.c.account, inbox.c.event_id)
    .where(
        inbox.c.notice.is_(null()),
        inbox.c.account == func.any(bindparam("accounts", type_=ARRAY(Text))),
        inbox.c.settled_at < _now - cast(bindparam("life"), INTERVAL),
        inbox.c.received_at < _now - cast(bindparam("life"), INTERVAL),
    )
    .limit(REAP_BATCH_MAX)
    .with_for_update(skip_locked=True)
    .cte("stale")
)
FORGET_NAMES: Final = compiled(
    delete(inbox).where(inbox.c.account == _stale.c.account, inbox.c.event_id == _stale.c.event_id)
)


class NoticeDesk:
    """`flows.notice_desk.Desk` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> UnitOfWork:
        return self._database.begin()

    async def find(self, due: Due, tx: UnitOfWork | None = None) -> KeptLetter | None:
        this = {"the_account": due.account, "the_event": due.event_id}
        found = self._database.fetch_one(FIND, **this) if tx is None else tx.read_one(LOCK, **this)
        row = await found
        return None if row is None else _kept(row)

    async def page(
        self, wanted: Filter, after: tuple[datetime, str, str] | None, size: int
    ) -> Sequence[KeptLetter]:
        at, account, event = after or (None, "", "")
        rows = await self._database.fetch(
            PAGE, account=wanted.account, state=wanted.state, result=wanted.result,
            operation=wanted.operation, received_from=wanted.received_from,
            received_before=wanted.received_before, after_at=at, after_account=account,
            after_event=event, most=size,
        )  # fmt: skip
        return [_kept(row) for row in rows]

    async def is_done(self, tx: UnitOfWork, key: str, fingerprint: bytes) -> bool:
        known = await requests.find(
            tx.read_one, merchant=OF_NO_MERCHANT, key=key, fingerprint=fingerprint
        )
        return known is not None

    def change(
        self, tx: UnitOfWork, letter: KeptLetter, state: InboxState, *, result: str,
        action: str, origin: Origin, reason: str, key: str, fingerprint: bytes,
    ) -> None:  # fmt: skip
        requests.claim(
            tx, merchant=OF_NO_MERCHANT, key=key, method=action, fingerprint=fingerprint,
            resource=letter.name,
        )  # fmt: skip
        tx.write(
            CHANGE, expect=1, refusal=lambda: RaceLost(letter.name),
            the_account=letter.due.account, the_event=letter.due.event_id,
            the_version=letter.version, to_state=state.value, told=result,
        )  # fmt: skip
        step: dict[str, Any] = step_params(
            merchant=OF_NO_MERCHANT,
            subject=letter.name,
            version=letter.version + 1,
            actor=origin.actor,
            action=action,
            before_state=letter.state.value,
            after_state=state.value,
            payload={"reason": reason, "result": letter.result, "tries": letter.tries},
            traceparent=origin.traceparent,
        )
        tx.write(STEP, **step)

    async def backlog(self) -> list[Backlog]:
        """The states in which letters are left, with how many and how old."""
        rows = await self._database.fetch(BACKLOG)
        return [Backlog(InboxState(row["state"]), row["count"], row["oldest_at"]) for row in rows]

    async def forget_facts(self, *, life: timedelta, doubtful_life: timedelta) -> int:
        """Drop the facts of one batch of settled letters; their names stay."""
        return await self._database.execute(FORGET_FACTS, life=life, doubtful_life=doubtful_life)

    async def forget_names(self, accounts: Sequence[str], *, life: timedelta) -> int:
        """Drop one batch of letters without facts that nobody can send again."""
        return await self._database.execute(FORGET_NAMES, accounts=list(accounts), life=life)


def _kept(row: asyncpg.Record) -> KeptLetter:
    facts = row["notice"]
    return KeptLetter(
        due=Due(row["account"], row["event_id"]),
        state=InboxState(row["state"]),
        result=row["result"],
        notice=None if facts is None else Notice.from_json(row["event_id"], orjson.loads(facts)),
        body_hash=row["body_hash"],
        tries=row["tries"],
        version=row["version"],
        received_at=row["received_at"],
        next_at=row["next_at"],
        settled_at=row["settled_at"],
    )
