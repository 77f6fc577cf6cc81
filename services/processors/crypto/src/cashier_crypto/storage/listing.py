"""Reads of deposits for people: one by name, and a merchant's, newest first."""

from datetime import datetime
from typing import Final

from sqlalchemy import Integer, Text, bindparam, func, or_, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from cashier_common.db.engine import Database
from cashier_common.db.statement import compiled
from cashier_common.db.types import TIME
from cashier_crypto.domain.transfer import Transfer
from cashier_crypto.storage.chain_record import ChainRecordStore
from cashier_crypto.storage.rows import select_transfers, to_transfer
from cashier_crypto.storage.tables import transfers
from cashier_crypto.storage.transfers import FIND

_states: Final = bindparam("states", type_=ARRAY(Text))
_before_time: Final = bindparam("before_time", type_=TIME)
LIST: Final = compiled(
    select_transfers()
    .where(
        transfers.c.merchant == bindparam("the_merchant"),
        or_(_states.is_(None), transfers.c.state == func.any(_states)),
        or_(
            _before_time.is_(None),
            tuple_(transfers.c.created_at, transfers.c.name)
            < tuple_(_before_time, bindparam("before_name", type_=Text)),
        ),
    )
    .order_by(transfers.c.created_at.desc(), transfers.c.name.desc())
    .limit(bindparam("most", type_=Integer))
)


class TransferList:
    """`rpc.crypto_rail_servicer.Transfers` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._record = ChainRecordStore(database)

    async def one(self, merchant: str, name: str) -> Transfer | None:
        row = await self._database.fetch_one(FIND, the_merchant=merchant, the_name=name)
        return None if row is None else to_transfer(row)

    async def listed(
        self,
        merchant: str,
        *,
        states: list[str] | None,
        before: tuple[datetime, str] | None,
        count: int,
    ) -> list[Transfer]:
        rows = await self._database.fetch(
            LIST, the_merchant=merchant, states=states, most=count,
            before_time=before[0] if before else None, before_name=before[1] if before else None,
        )  # fmt: skip
        return [to_transfer(row) for row in rows]

    async def height(self, chain: str) -> int:
        read = await self._record.cursor(chain)
        return 0 if read is None else read.number
