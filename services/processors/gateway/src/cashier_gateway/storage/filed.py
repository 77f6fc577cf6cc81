"""Notices of a file, put into the inbox together: all of them or none."""

import hashlib
from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import LargeBinary, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from cashier_common.db.engine import Database
from cashier_common.db.statement import compiled
from cashier_gateway.domain.notice import Notice

# One statement for a whole file: the inbox's own takes a webhook's handful.
PUT_ALL: Final = compiled(
    text(
        """
        INSERT INTO inbox (account, event_id, body_hash, notice, state, next_at)
        SELECT :account, told.event_id, :body_hash, told.notice::jsonb, 'WAITING',
               clock_timestamp()
        FROM unnest(:event_ids, :notices) AS told (event_id, notice)
        ON CONFLICT DO NOTHING
        RETURNING event_id
        """
    ).bindparams(
        bindparam("account", type_=Text),
        bindparam("body_hash", type_=LargeBinary),
        bindparam("event_ids", type_=ARRAY(Text)),
        bindparam("notices", type_=ARRAY(Text)),
    )
)


async def file_notices(
    database: Database, account: str, notices: Sequence[Notice], content: bytes
) -> int:
    """Keep the notices of a file whose bytes are `content`; how many of them were new."""
    rows = await database.fetch(
        PUT_ALL, account=account, body_hash=hashlib.sha256(content).digest(),
        event_ids=[notice.event_id for notice in notices],
        notices=[orjson.dumps(notice.to_json()).decode() for notice in notices],
    )  # fmt: skip
    return len(rows)
