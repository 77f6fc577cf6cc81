"""The chain as it was read: blocks, the transfers to our addresses in them, and the cursor."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from cashier_common.db.audit import ADVANCE, CURSOR
from cashier_common.db.engine import Database
from cashier_common.db.statement import compiled
from cashier_common.db.transaction import UnitOfWork
from cashier_common.db.types import insert_many
from cashier_crypto.domain.errors import MovedOn
from cashier_crypto.domain.sighting import Block, Sighting, Use
from cashier_crypto.domain.transfer import Transfer
from cashier_crypto.storage.rows import select_transfers, to_block, to_sighting, to_transfer
from cashier_crypto.storage.tables import addresses, blocks, sightings, transfers

_COLUMNS: Final = tuple(column.key for column in sightings.columns)
_the_chain: Final = bindparam("the_chain", type_=Text)
_number: Final = bindparam("the_number", type_=BigInteger)
_most: Final = bindparam("most", type_=Integer)

BLOCK: Final = compiled(
    select(blocks).where(blocks.c.chain == _the_chain, blocks.c.number == _number)
)
BLOCKS_BELOW: Final = compiled(
    select(blocks)
    .where(blocks.c.chain == _the_chain, blocks.c.number <= _number)
    .order_by(blocks.c.number.desc())
    .limit(_most)
)
INSERT_BLOCKS: Final = compiled(
    insert_many(blocks, "chain", "number", "hash", "parent_hash", "time")
)
DELETE_ABOVE: Final = compiled(
    delete(blocks).where(blocks.c.chain == _the_chain, blocks.c.number > _number)
)
DELETE_BELOW: Final = compiled(
    delete(blocks).where(blocks.c.chain == _the_chain, blocks.c.number < _number)
)
_given: Final = (
    func.unnest(*(bindparam(c.key, type_=ARRAY(c.type)) for c in sightings.columns))
    .table_valued(*_COLUMNS, name="given")
    .render_derived()
)
_upsert: Final = insert(sightings).from_select(
    list(_COLUMNS), select(*(_given.c[name] for name in _COLUMNS))
)
_new: Final = _upsert.excluded
# Mined again: the identity stays, everything else is read anew. What pays somebody else now, or in
# another token, has to be looked at again.
RECORD_SIGHTINGS: Final = compiled(
    _upsert.on_conflict_do_update(
        index_elements=["chain", "tx_hash", "log_ordinal"],
        set_={
            **{
                name: _new[name]
                for name in (
                    "contract", "source", "address", "units", "block_number", "block_hash",
                    "in_chain",
                )
            },
            "use": case(
                (
                    and_(
                        sightings.c.address == _new.address, sightings.c.contract == _new.contract
                    ),
                    sightings.c.use,
                ),
                else_=literal(Use.OPEN.value),
            ),
        },
    )
)  # fmt: skip
ORPHAN_ABOVE: Final = compiled(
    update(sightings)
    .where(
        sightings.c.chain == _the_chain, sightings.c.block_number > _number, sightings.c.in_chain
    )
    .values(in_chain=~true())
)
USE: Final = compiled(
    update(sightings).where(
        sightings.c.chain == _the_chain,
        sightings.c.tx_hash == bindparam("the_hash"),
        sightings.c.log_ordinal == bindparam("the_ordinal"),
        sightings.c.use == bindparam("former_use"),
    ),
    columns=("use",),
)
OURS: Final = compiled(
    select(addresses.c.address).where(
        addresses.c.address == func.any(bindparam("asked", type_=ARRAY(Text))),
        addresses.c.transfer.is_not(None),
    )
)
AWAITING: Final = compiled(
    select(transfers.c.address)
    .where(
        transfers.c.chain == _the_chain,
        text("state IN ('AWAITED', 'ORPHANED')"),  # as the partial index says it
    )
    .order_by(transfers.c.expire_at.desc())
    .limit(_most)
)
_seen: Final = sightings.alias("seen")
_SEEN: Final = "seen_"
OPEN: Final = compiled(
    select_transfers()
    .add_columns(*(column.label(_SEEN + column.key) for column in _seen.columns))
    .join(_seen, and_(_seen.c.chain == transfers.c.chain, _seen.c.address == transfers.c.address))
    .where(
        _seen.c.chain == _the_chain,
        text("seen.use = 'OPEN'"),  # as the partial index says it
        _seen.c.in_chain,
    )
    .order_by(_seen.c.block_number, _seen.c.tx_hash, _seen.c.log_ordinal)
    .limit(_most)
)


class ChainRecordStore:
    """`flows.ports.ChainRecord` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> UnitOfWork:
        return self._database.begin()

    async def cursor(self, chain: str) -> Block | None:
        row = await self._database.fetch_one(CURSOR, source=_source(chain), shard=0)
        return None if row is None else await self.block(chain, row["position"])

    async def block(self, chain: str, number: int) -> Block | None:
        row = await self._database.fetch_one(BLOCK, the_chain=chain, the_number=number)
        return None if row is None else to_block(row)

    async def blocks_below(self, chain: str, number: int, limit: int) -> list[Block]:
        rows = await self._database.fetch(
            BLOCKS_BELOW, the_chain=chain, the_number=number, most=limit
        )
        return [to_block(row) for row in rows]

    async def final_time(self, chain: str, number: int) -> datetime | None:
        newest = await self.blocks_below(chain, number, 1)
        return newest[0].time if newest else None

    async def ours(self, addresses: Collection[str]) -> frozenset[str]:
        if not addresses:
            return frozenset()
        rows = await self._database.fetch(OURS, asked=sorted(addresses))
        return frozenset(row["address"] for row in rows)

    async def awaiting(self, chain: str, limit: int) -> list[str]:
        rows = await self._database.fetch(AWAITING, the_chain=chain, most=limit)
        return [row["address"] for row in rows]

    def record(
        self,
        tx: UnitOfWork,
        chain: str,
        *,
        seen: Block | None,
        blocks: Sequence[Block],
        sightings: Sequence[Sighting],
        keep_from: int,
    ) -> None:
        _advance(tx, chain, seen, blocks[-1])  # first: who lost the race writes nothing else
        tx.write(
            INSERT_BLOCKS,
            expect=len(blocks),
            chain=[chain] * len(blocks),
            number=[block.number for block in blocks],
            hash=[block.hash for block in blocks],
            parent_hash=[block.parent_hash for block in blocks],
            time=[block.time for block in blocks],
        )
        if sightings:
            tx.write(RECORD_SIGHTINGS, expect=len(sightings), **_columns(chain, sightings))
        tx.write(DELETE_BELOW, expect=None, the_chain=chain, the_number=keep_from)

    def rewind(self, tx: UnitOfWork, chain: str, *, seen: Block, fork: Block) -> None:
        _advance(tx, chain, seen, fork)
        tx.write(ORPHAN_ABOVE, expect=None, the_chain=chain, the_number=fork.number)
        tx.write(DELETE_ABOVE, expect=None, the_chain=chain, the_number=fork.number)

    async def open_sightings(self, chain: str, limit: int) -> list[tuple[Sighting, Transfer]]:
        rows = await self._database.fetch(OPEN, the_chain=chain, most=limit)
        return [(to_sighting(row, _SEEN), to_transfer(row)) for row in rows]

    def use(
        self, tx: UnitOfWork, chain: str, sighting: Sighting, *, before: Use, after: Use
    ) -> None:
        tx.write(
            USE, expect=1, refusal=MovedOn, the_chain=chain, the_hash=sighting.tx_hash,
            the_ordinal=sighting.ordinal, former_use=before.value, use=after.value,
        )  # fmt: skip


def _source(chain: str) -> str:
    return f"chain/{chain}"


def _advance(tx: UnitOfWork, chain: str, seen: Block | None, block: Block) -> None:
    tx.write(
        ADVANCE, expect=1, refusal=MovedOn, source=_source(chain), shard=0,
        # Without a cursor a row is inserted; one that came meanwhile is at no such place.
        seen=-1 if seen is None else seen.number,
        position=block.number,
    )  # fmt: skip


def _columns(chain: str, sightings: Sequence[Sighting]) -> dict[str, Any]:
    return {
        "chain": [chain] * len(sightings),
        "tx_hash": [s.tx_hash for s in sightings],
        "log_ordinal": [s.ordinal for s in sightings],
        "contract": [s.contract for s in sightings],
        "source": [s.source for s in sightings],
        "address": [s.address for s in sightings],
        "units": [Decimal(s.units) for s in sightings],
        "block_number": [s.block_number for s in sightings],
        "block_hash": [s.block_hash for s in sightings],
        "in_chain": [s.in_chain for s in sightings],
        "use": [s.use.value for s in sightings],
    }
