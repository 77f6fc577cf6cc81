"""Letters that come at the same time share one statement and one commit."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from sqlalchemy import LargeBinary, Text, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from cashier_common.db.engine import Database
from cashier_common.db.failures import CommitUnknown
from cashier_common.db.statement import compiled
from cashier_common.errors import Refusal
from cashier_gateway.domain.notice import Notice
from cashier_gateway.flows.notice_ports import InboxState
from cashier_gateway.storage.tables import inbox

# While one commit is on its way to the disk the next ones gather. Measured on 2 cores: more at a
# time makes the groups smaller and the letters dearer.
COMMITS_AT_ONCE_MAX: Final = 2
GROUP_MAX: Final = 64

_given: Final = (
    func.unnest(
        bindparam("accounts", type_=ARRAY(Text)),
        bindparam("events", type_=ARRAY(Text)),
        bindparam("hashes", type_=ARRAY(LargeBinary)),
        bindparam("notices", type_=ARRAY(Text)),
    )
    .table_valued("account", "event_id", "body_hash", "notice", name="given")
    .render_derived()
)
PUT_MANY: Final = compiled(
    insert(inbox)
    .from_select(
        ["account", "event_id", "body_hash", "notice", "state", "next_at"],
        select(
            _given.c.account,
            _given.c.event_id,
            _given.c.body_hash,
            cast(_given.c.notice, JSONB),
            literal(InboxState.WAITING.value),
            func.clock_timestamp(),
        ),
    )
    .on_conflict_do_nothing()
    .returning(inbox.c.account, inbox.c.event_id)
)


@dataclass(slots=True)
class _Put:
    """What one webhook brought, and who waits for it."""

    rows: dict[tuple[str, str], tuple[bytes, str]]
    kept: asyncio.Future[int] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GatheredLetters:
    """Puts letters into the inbox for many callers at once; what is answered is committed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Put] = deque()
        self._committing: set[asyncio.Task[None]] = set()

    async def put(self, account: str, notices: Sequence[Notice], body: bytes) -> int:
        """Keep the notices and the body's hash; how many were new. Known ones change nothing."""
        body_hash = hashlib.sha256(body).digest()
        one = _Put(
            {
                (account, notice.event_id): (body_hash, orjson.dumps(notice.to_json()).decode())
                for notice in notices
            }
        )
        self._waiting.append(one)
        if len(self._committing) < COMMITS_AT_ONCE_MAX:
            task = asyncio.create_task(self._commit())
            self._committing.add(task)
            task.add_done_callback(self._committing.discard)
        return await one.kept

    async def _commit(self) -> None:
        while self._waiting:
            count = min(len(self._waiting), GROUP_MAX)
            await self._keep([self._waiting.popleft() for _ in range(count)])

    async def _keep(self, group: list[_Put]) -> None:
        try:
            await self._write(group)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            is_away = isinstance(error, CommitUnknown | Refusal)
            if len(group) == 1 or is_away:
                for one in group:
                    if not one.kept.done():
                        one.kept.set_exception(error)
                return
            for one in group:  # one that cannot be kept must not take the others with it
                await self._keep([one])

    async def _write(self, group: list[_Put]) -> None:
        rows = {key: facts for one in group for key, facts in one.rows.items()}
        keys = sorted(rows)  # in one order everywhere, so that two groups never lock each other
        fresh = await self._database.fetch(
            PUT_MANY,
            accounts=[account for account, _ in keys],
            events=[event for _, event in keys],
            hashes=[rows[key][0] for key in keys],
            notices=[rows[key][1] for key in keys],
        )
        new = {(row["account"], row["event_id"]) for row in fresh}
        for one in group:
            if not one.kept.done():  # whoever hung up has cancelled it
                one.kept.set_result(len(new & one.rows.keys()))
