"""Import one file: all of its lines count from one moment on, or none does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from cashier_common.clock import Clock
from cashier_common.errors import LimitExceeded, NotServed
from cashier_common.redact import holds_card_number, masked
from cashier_recon.domain.errors import StatementUnreadable
from cashier_recon.domain.import_result import Header, Statement, StatementState, statement_name
from cashier_recon.domain.statement import Broken, Line, Parsed, Reject, RejectedRow
from cashier_recon.flows.ports import BeginImport, Key, Lock

CHUNK_MAX_BYTES = 1024 * 1024  # the contract's limit for one message
STATEMENT_MAX_BYTES = 64 * 1024 * 1024  # held in memory while it is read
UNIT_LINES_MAX = 4_000  # some 150 ms of the database's time, well below its 3 s

Parse = Callable[[bytes, str], Parsed]


@dataclass(frozen=True, slots=True)
class Importer:
    """The importer of a process; `formats` by the number of the contract's enum."""

    begin: BeginImport
    lock: Lock
    clock: Clock
    formats: Mapping[int, Parse]

    async def run(
        self, header: Header, chunks: AsyncIterator[bytes], key: Key
    ) -> tuple[Statement, bool]:
        """The statement, and whether it was there before.

        Lines are written in units of UNIT_LINES_MAX and count once the last unit registers the
        statement; a crash before that leaves rows that nothing reads and the next import
        takes over.
        A file that cannot be trusted is registered as QUARANTINED and kept whole.
        """
        parse = self.formats.get(header.format)
        if parse is None:
            raise NotServed(f"statement format {header.format}")
        content = await _collected(chunks)
        digest = sha256(content).digest()
        name = statement_name(header, digest)
        key = replace(key, fingerprint=sha256(name.encode()).digest())
        async with self.lock("import"):
            async with self.begin() as unit:
                claimed = await unit.claimed(key)
                earlier = await unit.statement(claimed or name)
                if earlier is not None:
                    if claimed is None:
                        unit.claim(key, earlier.statement_id)
                    return earlier, True
            return await self._import(header, name, digest, content, parse, key), False

    async def _import(
        self, header: Header, name: str, digest: bytes, content: bytes, parse: Parse, key: Key
    ) -> Statement:
        blank = Statement(
            statement_id=name,
            processor_account=header.processor_account,
            format=header.format,
            file_name=masked(header.file_name),
            content_hash=digest,
            period_end_time=header.period_end_time,
            state=StatementState.IMPORTED,
            detail="",
            line_count=0,
            repeated_line_count=0,
            rejected_line_count=0,
            totals={},
            create_time=self.clock.now(),
        )
        try:
            parsed = await asyncio.to_thread(parse, content, header.processor_account)
        except Broken as problem:
            return await self._quarantine(blank, content, str(problem), key)
        lines = [_without_card_numbers(line) for line in parsed.lines]
        rejected = [_readable(row) for row in parsed.rejected]
        repeated = 0
        for place in range(0, len(lines), UNIT_LINES_MAX):
            chunk = lines[place : place + UNIT_LINES_MAX]
            async with self.begin() as unit:
                known = await unit.known_lines(chunk)
                unit.add_lines(name, [line for line in chunk if line.line_id not in known])
            restated = [
                _restated(line, known[line.line_id][1])
                for line in chunk
                if line.line_id in known and known[line.line_id][0] != line.facts
            ]
            rejected += restated
            repeated += sum(line.line_id in known for line in chunk) - len(restated)
        statement = replace(
            blank,
            line_count=len(lines),
            repeated_line_count=repeated,
            rejected_line_count=len(rejected),
            totals=parsed.totals,
            detail=f"{repeated} lines stood in an earlier statement" if repeated else "",
        )
        await self._register(statement, rejected, key)
        return statement

    async def _register(
        self, statement: Statement, rejected: Sequence[RejectedRow], key: Key
    ) -> None:
        name, account = statement.statement_id, statement.processor_account
        for place in range(0, len(rejected), UNIT_LINES_MAX):
            async with self.begin() as unit:
                unit.add_rejected(name, account, rejected[place : place + UNIT_LINES_MAX])
        async with self.begin() as unit:
            unit.claim(key, name)
            unit.add_statement(statement)
            unit.add_step(
                subject=name,
                version=1,
                actor=key.caller,
                action="STATEMENT_IMPORTED",
                after=statement.state,
                payload={
                    "processor_account": account,
                    "content_hash": statement.content_hash.hex(),
                    "lines": statement.line_count,
                    "rejected": statement.rejected_line_count,
                },
            )

    async def _quarantine(
        self, blank: Statement, content: bytes, problem: str, key: Key
    ) -> Statement:
        text = f"the file was kept apart and none of its lines counts: {masked(problem)}"
        statement = replace(blank, state=StatementState.QUARANTINED, detail=text)
        kept = masked(content.decode("latin-1")).encode("latin-1", "replace")
        async with self.begin() as unit:
            unit.claim(key, statement.statement_id)
            unit.add_statement(statement)
            unit.add_quarantined_file(statement.statement_id, kept)
            unit.add_step(
                subject=statement.statement_id,
                version=1,
                actor=key.caller,
                action="STATEMENT_QUARANTINED",
                after=statement.state,
                payload={
                    "processor_account": statement.processor_account,
                    "content_hash": statement.content_hash.hex(),
                    "problem": text,
                },
            )
        return statement


async def _collected(chunks: AsyncIterator[bytes]) -> bytes:
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if len(chunk) > CHUNK_MAX_BYTES:
            raise LimitExceeded(
                what=f"a piece of {len(chunk)} bytes", limit=f"{CHUNK_MAX_BYTES} bytes a message"
            )
        if size > STATEMENT_MAX_BYTES:
            raise LimitExceeded(
                what="the statement", limit=f"{STATEMENT_MAX_BYTES} bytes: split it by day"
            )
        parts.append(chunk)
    if not size:
        raise StatementUnreadable("no data came after the header")
    return b"".join(parts)


def _without_card_numbers(line: Line) -> Line:
    """Any text of a processor's may hold what must not be stored; such a line matches nothing."""
    words = (line.external_id, line.source, line.description, line.payout, line.type)
    if not holds_card_number("\n".join(words)):
        return line
    external_id, source, description, payout, kind = map(masked, words)
    return replace(
        line,
        external_id=external_id,
        source=source,
        description=description,
        payout=payout,
        type=kind,
    )


def _readable(row: RejectedRow) -> RejectedRow:
    return replace(
        row, raw=masked(row.raw), detail=masked(row.detail), external_id=masked(row.external_id)
    )


def _restated(line: Line, statement_id: str) -> RejectedRow:
    return RejectedRow(
        row=line.row,
        external_id=line.external_id,
        reject=Reject.FILE_RESTATED,
        detail=f"row {line.row}: {line.external_id} stands otherwise in {statement_id}",
        raw=f"{line.external_id},{line.type},{line.asset},{line.amount},{line.fee},{line.net}",
        asset=line.asset,
        net=line.net,
    )
