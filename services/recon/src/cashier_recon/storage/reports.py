"""The reads behind lists, balances and the summary: one statement each, outside of any unit."""

from collections import defaultdict
from datetime import UTC, datetime

from sqlalchemy import text

from cashier_common.db.engine import Database
from cashier_common.db.transaction import compiled
from cashier_recon.domain.lifecycle import CLOSED
from cashier_recon.domain.recon_exception import ReconException
from cashier_recon.domain.run_plan import Run
from cashier_recon.flows.reports import (
    After,
    Balance,
    BookedEntry,
    EntryFilter,
    ExceptionFilter,
    Summary,
    SummaryLine,
)
from cashier_recon.storage.exceptions import exception_of
from cashier_recon.storage.runs import run_of
from cashier_recon.storage.unit import FEED

_BALANCES = compiled(
    text("""
    SELECT account, owner, asset, sum(amount) AS amount FROM entries
    WHERE (CAST(:account AS text) = '' OR account = :account)
        AND (CAST(:owner AS text) = '' OR owner = :owner)
        AND (CAST(:as_of AS timestamptz) IS NULL OR book_time <= :as_of)
    GROUP BY account, owner, asset ORDER BY account, owner, asset
    """)
)
_ENTRIES = compiled(
    text("""
    SELECT e.journal_id, e.leg, e.account, e.owner, e.asset, e.amount, e.book_time,
        j.payment, j.operation, j.cause
    FROM entries e JOIN journals j USING (journal_id)
    WHERE (CAST(:payment AS text) = '' OR (j.payment = :payment AND j.payment <> ''))
        AND (CAST(:account AS text) = '' OR e.account = :account)
        AND (CAST(:owner AS text) = '' OR e.owner = :owner)
        AND (CAST(:before AS timestamptz) IS NULL OR (e.book_time, e.journal_id, e.leg)
            < (:before, CAST(:journal AS text), CAST(:leg AS int)))
    ORDER BY e.book_time DESC, e.journal_id DESC, e.leg DESC LIMIT CAST(:most AS int)
    """)
)
_RUN = compiled(text("SELECT * FROM runs WHERE run_id = CAST(:run AS text)"))
_RUNS = compiled(
    text("""
    SELECT * FROM runs
    WHERE CAST(:before AS timestamptz) IS NULL
        OR (create_time, run_id) < (:before, CAST(:run AS text))
    ORDER BY create_time DESC, run_id DESC LIMIT CAST(:most AS int)
    """)
)
_EXCEPTION = compiled(
    text("SELECT * FROM exceptions WHERE exception_id = CAST(:exception AS text)")
)
_EXCEPTIONS = compiled(
    text("""
    SELECT * FROM exceptions
    WHERE (cardinality(CAST(:states AS text[])) = 0 OR state = ANY(:states))
        AND (cardinality(CAST(:types AS text[])) = 0 OR type = ANY(:types))
        AND (CAST(:account AS text) = '' OR processor_account = :account)
        AND (CAST(:behind AS timestamptz) IS NULL
            OR (due_time, exception_id) > (:behind, CAST(:exception AS text)))
    ORDER BY due_time, exception_id LIMIT CAST(:most AS int)
    """)
)
_OPERATIONS = compiled(
    text("""
    SELECT processor_account, asset,
        sum(amount) AS booked_minor, count(*) AS booked_count,
        coalesce(sum(settled_amount), 0) AS settled_minor, count(settled_amount) AS settled_count,
        coalesce(sum(amount) FILTER (WHERE state = 'OPEN'), 0) AS open_minor,
        count(*) FILTER (WHERE state = 'OPEN') AS open_count
    FROM expectations
    WHERE state IN ('OPEN', 'SETTLED', 'DIFFERS', 'WRITTEN_OFF')
        AND (CAST(:account AS text) = '' OR processor_account = :account)
    GROUP BY processor_account, asset
    """)
)
_FEES = compiled(
    text("""
    SELECT owner AS processor_account, asset, sum(amount) AS fee_minor FROM entries
    WHERE account = 'fees' AND (CAST(:account AS text) = '' OR owner = :account)
    GROUP BY owner, asset
    """)
)
_OPEN_EXCEPTIONS = compiled(
    text("""
    SELECT type, count(*) AS items FROM exceptions
    WHERE state <> ALL(CAST(:closed AS text[]))
        AND (CAST(:account AS text) = '' OR processor_account = :account)
    GROUP BY type
    """)
)
_POSITIONS = compiled(
    text("SELECT shard, position FROM cursors WHERE source = CAST(:source AS text)")
)


class BookReports:
    """Reads of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def balances(self, *, account: str, owner: str, as_of: datetime | None) -> list[Balance]:
        """Sums of entries booked up to and including `as_of`."""
        rows = await self._db.fetch(_BALANCES, account=account, owner=owner, as_of=as_of)
        return [Balance(r["account"], r["owner"], r["asset"], int(r["amount"])) for r in rows]

    async def entries(self, wanted: EntryFilter, *, after: After, size: int) -> list[BookedEntry]:
        """Newest first; `after` is (book time, journal, leg)."""
        before, journal, leg = after or (None, "", 0)
        rows = await self._db.fetch(
            _ENTRIES,
            payment=wanted.payment,
            account=wanted.account,
            owner=wanted.owner,
            before=_time(before),
            journal=journal,
            leg=leg,
            most=size + 1,
        )
        return [BookedEntry(**dict(row)) for row in rows]

    async def run(self, run_id: str) -> Run | None:
        """The run with this id."""
        row = await self._db.fetch_one(_RUN, run=run_id)
        return run_of(row) if row else None

    async def runs(self, *, after: After, size: int) -> list[Run]:
        """Newest first; `after` is (create time, id)."""
        before, run = after or (None, "")
        rows = await self._db.fetch(_RUNS, before=_time(before), run=run, most=size + 1)
        return [run_of(row) for row in rows]

    async def exception(self, exception_id: str) -> ReconException | None:
        """The exception with this id."""
        row = await self._db.fetch_one(_EXCEPTION, exception=exception_id)
        return exception_of(row) if row else None

    async def exceptions(
        self, wanted: ExceptionFilter, *, after: After, size: int
    ) -> list[ReconException]:
        """Most urgent first; `after` is (due time, id)."""
        behind, exception = after or (None, "")
        rows = await self._db.fetch(
            _EXCEPTIONS,
            states=list(wanted.states),
            types=list(wanted.types),
            account=wanted.processor_account,
            behind=_time(behind),
            exception=exception,
            most=size + 1,
        )
        return [exception_of(row) for row in rows]

    async def summary(self, processor_account: str) -> Summary:
        """Expectations, fees, open exceptions and cursors."""
        cells: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for query in (_OPERATIONS, _FEES):
            for row in await self._db.fetch(query, account=processor_account):
                cell = cells[row["processor_account"], row["asset"]]
                cell.update({name: int(row[name]) for name in list(row.keys())[2:]})
        closed = [state.value for state in CLOSED]
        exceptions = await self._db.fetch(
            _OPEN_EXCEPTIONS, closed=closed, account=processor_account
        )
        positions = await self._db.fetch(_POSITIONS, source=FEED)
        return Summary(
            lines=[
                SummaryLine(processor_account=account, asset=asset, **cell)
                for (account, asset), cell in sorted(cells.items())
            ],
            open_exceptions={row["type"]: row["items"] for row in exceptions},
            positions={row["shard"]: row["position"] for row in positions},
        )


def _time(word: str | int | None) -> datetime | None:
    return None if word is None else datetime.fromisoformat(str(word)).astimezone(UTC)
