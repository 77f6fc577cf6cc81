"""Entries and files of the clearing house on PostgreSQL."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from cashier_common.db.engine import Database
from cashier_gateway.domain.ach import AchEntry, AchFile, EntryState, FileState, Line
from cashier_gateway.domain.call import Kind
from cashier_gateway.flows.ach_ports import Numbers, WriteFile
from cashier_gateway.storage import ach_sql as sql


class AchBook:
    """`flows.ach_ports.Entries` and `Files` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def promise(self, entry: AchEntry) -> AchEntry | None:
        token = entry.token
        if entry.returns:
            returned = await self._database.fetch_one(
                sql.BY_REFERENCE, the_account=entry.account, the_reference=entry.returns
            )
            if returned is None:
                return None
            token = returned["token"]
        async with self._database.begin() as tx:
            tx.write(sql.PROMISE, expect=None, **_values(entry, token=token))
        return await self.find(merchant=entry.merchant, operation=entry.operation)

    async def remove(self, entry: AchEntry) -> EntryState:
        values = _values(entry, state=EntryState.REMOVED.value)
        row = await self._database.fetch_one(sql.REMOVE, **values)
        if row is None:
            raise RuntimeError(f"the entry of {entry.operation} was neither written nor found")
        return EntryState(row["state"])

    async def find(self, *, merchant: str, operation: str) -> AchEntry | None:
        row = await self._database.fetch_one(
            sql.FIND, the_merchant=merchant, the_operation=operation
        )
        return None if row is None else _entry(row)

    async def gather(
        self, account: str, write: WriteFile, *, entries_max: int, window_s: int
    ) -> AchFile | None:
        window = timedelta(seconds=window_s)
        due = await self._database.fetch_one(sql.DUE, the_account=account, window=window)
        if due is None or not (due["old"] or due["waiting"] >= entries_max):
            return None
        await self._database.execute(sql.OPEN_ACCOUNT, account=account)
        async with self._database.begin() as tx:
            numbers = await tx.read_one(sql.LOCK_ACCOUNT, the_account=account)
            rows = await tx.read(sql.TAKE, the_account=account, most=entries_max)
            if not rows or numbers is None:
                return None  # another replica was faster
            entries = [_entry(row) for row in rows]
            counted = Numbers(file=numbers["files"] + 1, trace=numbers["traces"] + 1)
            file_id, content, traces = write(entries, counted)
            digest = hashlib.sha256(content).digest()
            tx.write(
                sql.FILE_ENTRIES, expect=len(entries), the_account=account, the_file=file_id,
                refs=[entry.reference for entry in entries], traces=list(traces),
            )  # fmt: skip
            tx.write(
                sql.WRITE_FILE, expect=1, account=account, file_id=file_id, content=content,
                sha256=digest,
            )  # fmt: skip
            tx.write(
                sql.COUNT_ON, expect=1, the_account=account, files=counted.file,
                traces=numbers["traces"] + len(entries),
            )  # fmt: skip
        return AchFile(account, file_id, content, digest, FileState.WRITTEN)

    async def claim(self, account: str) -> AchFile | None:
        async with self._database.begin() as tx:
            row = await tx.read_one(sql.LEAVING, the_account=account)
            if row is None:
                return None
            tx.write(sql.CLAIM, expect=1, the_account=account, the_file=row["file_id"])
        return AchFile(
            account=account,
            file_id=row["file_id"],
            content=row["content"],
            sha256=row["sha256"],
            state=FileState(row["state"]),
        )

    async def settle(self, file: AchFile, state: FileState) -> None:
        async with self._database.begin() as tx:
            tx.write(
                sql.SETTLE, expect=None, the_account=file.account, the_file=file.file_id,
                to_state=state.value,
            )  # fmt: skip

    async def put_off(self, file: AchFile, pause: timedelta) -> None:
        async with self._database.begin() as tx:
            tx.write(
                sql.RELEASE,
                expect=None,
                the_account=file.account,
                the_file=file.file_id,
                pause=pause,
            )

    async def known(self, account: str, lines: Sequence[Line]) -> Mapping[str, AchEntry]:
        rows = await self._database.fetch(
            sql.KNOWN,
            the_account=account,
            refs=[line.reference for line in lines if line.reference],
            traces=[line.trace for line in lines if line.trace],
        )
        entries = [_entry(row) for row in rows]
        by_trace = {entry.trace: entry for entry in entries if entry.trace}
        return by_trace | {entry.reference: entry for entry in entries}

    async def mark_settled(self, account: str, references: Sequence[str]) -> None:
        async with self._database.begin() as tx:
            tx.write(sql.MARK_SETTLED, expect=None, the_account=account, refs=list(references))

    async def cursor(self, account: str) -> int:
        row = await self._database.fetch_one(sql.CURSOR, the_account=account)
        return 0 if row is None else int(row["reports_read"])

    async def advance(self, account: str, cursor: int) -> None:
        async with self._database.begin() as tx:
            tx.write(sql.ADVANCE, expect=1, account=account, reports_read=cursor)


def _values(entry: AchEntry, **changes: str) -> dict[str, Any]:
    found = {name: getattr(entry, name) for name in sql.COLUMNS}
    return {**found, "kind": entry.kind.value, "state": entry.state.value, **changes}


def _entry(row: asyncpg.Record) -> AchEntry:
    found = {name: row[name] for name in sql.COLUMNS}
    return AchEntry(
        **{**found, "kind": Kind(row["kind"]), "state": EntryState(row["state"])},
    )
