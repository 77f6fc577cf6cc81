"""The table of processor accounts: every statement on it, compiled once."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import BigInteger, Text, bindparam, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from cashier_common.db.audit import STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.record import TABLES
from cashier_common.db.statement import compiled
from cashier_common.db.transaction import UnitOfWork
from cashier_common.db.types import insert_many
from cashier_common.errors import RaceLost
from cashier_gateway.domain.account_change import Change, KeptAccount
from cashier_gateway.flows.ports import Origin
from cashier_gateway.storage.tables import processor_accounts

OF_NO_MERCHANT: Final = ""
"""The merchant of a step that tells of an account: it serves many."""
SUBJECT_PREFIX: Final = "accounts/"

# Whoever else applies accounts waits for the unit's end; whoever reads them does not.
LOCK: Final = compiled(text("LOCK TABLE processor_accounts IN SHARE ROW EXCLUSIVE MODE"))
ALL: Final = compiled(select(processor_accounts).order_by(processor_accounts.c.account_id))
_given: Final = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Text)),
        bindparam("versions", type_=ARRAY(BigInteger)),
        bindparam("states", type_=ARRAY(Text)),
        bindparam("documents", type_=ARRAY(Text)),
    )
    .table_valued("account_id", "version", "state", "document", name="given")
    .render_derived()
)
_insert: Final = insert(processor_accounts).from_select(
    ["account_id", "version", "state", "document", "updated_by"],
    select(
        _given.c.account_id,
        _given.c.version,
        _given.c.state,
        cast(_given.c.document, JSONB),
        bindparam("by", type_=Text),
    ),
)
UPSERT: Final = compiled(
    _insert.on_conflict_do_update(
        index_elements=["account_id"],
        set_={
            **{
                name: _insert.excluded[name]
                for name in ("version", "state", "document", "updated_by")
            },
            "updated_at": func.clock_timestamp(),
        },
        where=processor_accounts.c.version == _insert.excluded.version - 1,
    )
)
_STEP_COLUMNS: Final = STEP.names
STEPS: Final = compiled(insert_many(TABLES.steps, *_STEP_COLUMNS))


class AccountRegistry:
    """`flows.apply_accounts.Registry` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> UnitOfWork:
        return self._database.begin()

    async def lock(self, tx: UnitOfWork) -> None:
        await tx.read(LOCK)

    async def all(self, tx: UnitOfWork | None = None) -> list[KeptAccount]:
        rows = await (self._database.fetch(ALL) if tx is None else tx.read(ALL))
        return [_kept(row) for row in rows]

    def write(self, tx: UnitOfWork, changes: Sequence[Change], origin: Origin, reason: str) -> None:
        tx.write(
            UPSERT,
            expect=len(changes),
            refusal=lambda: RaceLost("a processor account"),
            ids=[change.account_id for change in changes],
            versions=[change.version for change in changes],
            states=[change.state for change in changes],
            documents=[orjson.dumps(change.document).decode() for change in changes],
            by=origin.actor,
        )
        steps = [_step(change, origin, reason) for change in changes]
        columns: dict[str, Any] = {name: [step[name] for step in steps] for name in _STEP_COLUMNS}
        tx.write(STEPS, expect=len(steps), **columns)


def _step(change: Change, origin: Origin, reason: str) -> dict[str, Any]:
    """The whole document stands in the step: the table holds today's, the record all of them."""
    return step_params(
        merchant=OF_NO_MERCHANT,
        subject=f"{SUBJECT_PREFIX}{change.account_id}",
        version=change.version,
        actor=origin.actor,
        action=change.action,
        before_state=change.before_state,
        after_state=change.state,
        payload={
            "reason": reason,
            "fields": list(change.fields),
            # As text: the record takes no floats, and a time-out is one.
            "document": orjson.dumps(change.document, option=orjson.OPT_SORT_KEYS).decode(),
        },
        traceparent=origin.traceparent,
    )


def _kept(row: asyncpg.Record) -> KeptAccount:
    return KeptAccount(
        account_id=row["account_id"],
        version=row["version"],
        document=orjson.loads(row["document"]),
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
    )
