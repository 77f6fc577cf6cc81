"""The book of deposits: every statement on operations, addresses and transfers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from cashier_common.db.audit import LATE_PREFIX, STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.statement import compiled
from cashier_common.db.transaction import UnitOfWork
from cashier_crypto.domain.errors import MovedOn, OperationKnown, PoolEmpty
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.domain.sighting import Sighting
from cashier_crypto.domain.transfer import Transfer
from cashier_crypto.flows.ports import ANSWER, LATE_SOURCES, Known, Origin
from cashier_crypto.storage.rows import (
    bound,
    moving_columns,
    select_transfers,
    step_payload,
    to_transfer,
    transfer_row,
)
from cashier_crypto.storage.tables import addresses, operations, transfers


def _word(state: str) -> ColumnElement[str]:
    """A constant in the statement itself: a parameter would hide the partial indexes."""
    return literal_column(f"'{State(state).value}'", Text)


_MOVING: Final = ("state", "version", "updated_at", "tx_hash", "log_ordinal", "outcome")
_this_operation: Final = (
    operations.c.merchant == bindparam("the_merchant"),
    operations.c.operation == bindparam("the_operation"),
)
INSERT_OPERATION: Final = compiled(insert(operations).on_conflict_do_nothing())
FENCE: Final = compiled(update(operations).where(*_this_operation).values(fenced=true()))
FIND_OPERATION: Final = compiled(select(operations).where(*_this_operation))
TAKE_ADDRESS: Final = compiled(
    select(addresses.c.address)
    .where(addresses.c.pool == bindparam("the_pool"), addresses.c.transfer.is_(None))
    .order_by(addresses.c.child)
    .limit(1)
    .with_for_update(skip_locked=True)
)
GIVE_OUT: Final = compiled(
    update(addresses).where(
        addresses.c.address == bindparam("the_address"), addresses.c.transfer.is_(None)
    ),
    columns=("merchant", "transfer"),
)
_given: Final = (
    func.unnest(
        bindparam("children", type_=ARRAY(BigInteger)),
        bindparam("derived", type_=ARRAY(Text)),
    )
    .table_valued("child", "address", name="given")
    .render_derived()
)
ADD_ADDRESSES: Final = compiled(
    insert(addresses)
    .from_select(
        ["pool", "child", "address"],
        select(bindparam("the_pool", type_=Text), _given.c.child, _given.c.address),
    )
    .on_conflict_do_nothing()
)
POOL_STATE: Final = compiled(
    select(
        func.count().filter(addresses.c.transfer.is_(None)).label("free"),
        (func.coalesce(func.max(addresses.c.child), -1) + 1).label("following"),
    ).where(addresses.c.pool == bindparam("the_pool"))
)
INSERT_TRANSFER: Final = compiled(insert(transfers))
MOVE: Final = compiled(
    update(transfers).where(
        transfers.c.merchant == bindparam("the_merchant"),
        transfers.c.name == bindparam("the_name"),
        transfers.c.version == bindparam("the_version"),
    ),
    columns=_MOVING,
)
FIND: Final = compiled(
    select_transfers().where(
        transfers.c.merchant == bindparam("the_merchant"),
        transfers.c.name == bindparam("the_name"),
    )
)
_height: Final = bindparam("height", type_=BigInteger)
_stands: Final = and_(
    bound.c.in_chain,
    bound.c.address == transfers.c.address,
    bound.c.contract == transfers.c.token_contract,
)
# A wider net than `Transfer.due_event`, which decides; what is only growing deeper is left out.
_due: Final = or_(
    and_(transfers.c.state.in_([_word("SEEN"), _word("CONFIRMING")]), _stands.is_not(true())),
    and_(transfers.c.state == _word("ORPHANED"), _stands),
    and_(transfers.c.state == _word("SEEN"), bound.c.block_number < _height),
    and_(
        transfers.c.state == _word("CONFIRMING"),
        bound.c.block_number <= _height - transfers.c.required_confirmations,
    ),
    transfers.c.state == _word("FINAL"),
)
DUE: Final = compiled(
    select_transfers()
    .where(
        transfers.c.chain == bindparam("the_chain"),
        transfers.c.state.not_in([_word("AWAITED"), _word("EXPIRED")]),
        transfers.c.outcome.is_(None),
        _due,
    )
    .order_by(transfers.c.updated_at)
    .limit(bindparam("most", type_=Integer))
)
EXPIRABLE: Final = compiled(
    select_transfers()
    .where(
        transfers.c.chain == bindparam("the_chain"),
        transfers.c.state.in_([_word("AWAITED"), _word("ORPHANED")]),
        transfers.c.expire_at < bindparam("before"),
        or_(bound.c.tx_hash.is_(None), bound.c.in_chain == false()),
    )
    .order_by(transfers.c.expire_at)
    .limit(bindparam("most", type_=Integer))
)
SHAKEN: Final = compiled(
    select_transfers()
    .where(
        transfers.c.chain == bindparam("the_chain"),
        transfers.c.state.in_([_word("FINAL"), _word("CREDITED")]),
        bound.c.in_chain,
        bound.c.block_number > bindparam("above", type_=BigInteger),
    )
    .limit(bindparam("most", type_=Integer))
)


class TransferBook:
    """`flows.ports.Book` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> UnitOfWork:
        return self._database.begin()

    async def take_address(self, tx: UnitOfWork, *, pool: str) -> str:
        row = await tx.read_one(TAKE_ADDRESS, the_pool=pool)
        if row is None:
            raise PoolEmpty
        return str(row["address"])

    async def add_addresses(self, pool: str, children: Sequence[tuple[int, str]]) -> int:
        return await self._database.execute(
            ADD_ADDRESSES, the_pool=pool, children=[child for child, _ in children],
            derived=[address for _, address in children],
        )  # fmt: skip

    async def pool_state(self, pool: str) -> tuple[int, int]:
        row = await self._database.fetch_one(POOL_STATE, the_pool=pool)
        return (0, 0) if row is None else (row["free"], row["following"])

    def add(self, tx: UnitOfWork, transfer: Transfer, fingerprint: bytes, origin: Origin) -> None:
        tx.write(
            INSERT_OPERATION, expect=1, refusal=OperationKnown, merchant=transfer.merchant,
            operation=transfer.operation, fingerprint=fingerprint, transfer=transfer.name,
            fenced=False,
        )  # fmt: skip
        tx.write(
            GIVE_OUT, expect=1, refusal=MovedOn, the_address=transfer.address,
            merchant=transfer.merchant, transfer=transfer.name,
        )  # fmt: skip
        tx.write(INSERT_TRANSFER, expect=1, **transfer_row(transfer))
        _step(tx, transfer, before="", action="AWAIT", source=ANSWER, origin=origin)

    def add_tombstone(
        self, tx: UnitOfWork, *, merchant: str, operation: str, origin: Origin
    ) -> None:
        tx.write(
            INSERT_OPERATION, expect=1, refusal=OperationKnown, merchant=merchant,
            operation=operation, fingerprint=None, transfer=None, fenced=True,
        )  # fmt: skip
        step: dict[str, Any] = step_params(
            merchant=merchant, subject=operation, version=1, actor=origin.actor, action="FENCE",
            before_state="", after_state="FENCED", payload={"source": "", "operation": operation},
            traceparent=origin.traceparent,
        )  # fmt: skip
        tx.write(STEP, **step)

    def fence(self, tx: UnitOfWork, *, merchant: str, operation: str) -> None:
        tx.write(FENCE, expect=1, the_merchant=merchant, the_operation=operation)

    def move(
        self,
        tx: UnitOfWork,
        before: Transfer,
        after: Transfer,
        *,
        action: str,
        source: str,
        origin: Origin,
    ) -> None:
        self._write(tx, before, after)
        _step(tx, after, before=before.state, action=action, source=source, origin=origin)

    def note(
        self,
        tx: UnitOfWork,
        before: Transfer,
        after: Transfer,
        sighting: Sighting,
        *,
        action: str,
        origin: Origin,
    ) -> None:
        self._write(tx, before, after)
        _step(
            tx, after, before=before.state, action=action, source="", origin=origin,
            evidence=sighting,
        )  # fmt: skip

    async def find(self, *, merchant: str, operation: str) -> Known | None:
        row = await self._database.fetch_one(
            FIND_OPERATION, the_merchant=merchant, the_operation=operation
        )
        if row is None:
            return None
        transfer = None
        if row["transfer"] is not None:
            transfer = await self.transfer(merchant, row["transfer"])
        return Known(row["fingerprint"], row["fenced"], transfer)

    async def transfer(self, merchant: str, name: str) -> Transfer | None:
        """One deposit by its name."""
        row = await self._database.fetch_one(FIND, the_merchant=merchant, the_name=name)
        return None if row is None else to_transfer(row)

    async def due(self, *, chain: str, height: int, limit: int) -> list[Transfer]:
        rows = await self._database.fetch(DUE, the_chain=chain, height=height, most=limit)
        return [to_transfer(row) for row in rows]

    async def expirable(self, *, chain: str, before: datetime, limit: int) -> list[Transfer]:
        rows = await self._database.fetch(EXPIRABLE, the_chain=chain, before=before, most=limit)
        return [to_transfer(row) for row in rows]

    async def shaken(self, *, chain: str, above: int, limit: int) -> list[Transfer]:
        rows = await self._database.fetch(SHAKEN, the_chain=chain, above=above, most=limit)
        return [to_transfer(row) for row in rows]

    def _write(self, tx: UnitOfWork, before: Transfer, after: Transfer) -> None:
        tx.write(
            MOVE, expect=1, refusal=MovedOn, the_merchant=before.merchant, the_name=before.name,
            the_version=before.version, **moving_columns(after),
        )  # fmt: skip


def _step(
    tx: UnitOfWork,
    transfer: Transfer,
    *,
    before: str,
    action: str,
    source: str,
    origin: Origin,
    evidence: Sighting | None = None,
) -> None:
    """One row is step, audit record and event: its payload is what StreamOutcomes tells."""
    step: dict[str, Any] = step_params(
        merchant=transfer.merchant,
        subject=transfer.name,
        version=transfer.version,
        actor=origin.actor,
        action=f"{LATE_PREFIX if source in LATE_SOURCES else ''}{action}",
        before_state=before,
        after_state=transfer.state.value,
        payload=step_payload(transfer, source, evidence),
        traceparent=origin.traceparent,
    )
    tx.write(STEP, **step)
