"""Every statement on the tables of the clearing house, compiled once."""

from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, case, cast, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, insert
from sqlalchemy.types import Text

from cashier_common.db.statement import compiled
from cashier_gateway.domain.ach import EntryState, FileState
from cashier_gateway.storage.ach_tables import ach_accounts, ach_entries, ach_files

# Two exchanges with the bank, and as much again for a slow machine.
FILE_LEASE: Final = timedelta(seconds=60)

_now: Final = func.clock_timestamp()
_this: Final = (
    ach_entries.c.merchant == bindparam("the_merchant"),
    ach_entries.c.operation == bindparam("the_operation"),
)
_waiting: Final = ach_entries.c.state == literal(EntryState.WAITING.value)
COLUMNS: Final = (
    "merchant", "operation", "account", "kind", "reference", "returns", "token", "amount_minor",
    "state", "trace", "file_id",
)  # fmt: skip
PROMISE: Final = compiled(
    insert(ach_entries)
    .values(**{name: bindparam(name) for name in COLUMNS})
    .on_conflict_do_nothing()
)
# One statement, so that a file that is being made takes it or it is removed, and never both.
REMOVE: Final = compiled(
    insert(ach_entries)
    .values(**{name: bindparam(name) for name in COLUMNS})
    .on_conflict_do_update(
        index_elements=["merchant", "operation"],
        set_={
            "state": case((_waiting, EntryState.REMOVED.value), else_=ach_entries.c.state),
        },
    )
    .returning(ach_entries.c.state)
)
FIND: Final = compiled(select(ach_entries).where(*_this))
BY_REFERENCE: Final = compiled(
    select(ach_entries).where(
        ach_entries.c.account == bindparam("the_account"),
        ach_entries.c.reference == bindparam("the_reference"),
        ach_entries.c.reference != literal(""),
    )
)
KNOWN: Final = compiled(
    select(ach_entries).where(
        ach_entries.c.account == bindparam("the_account"),
        or_(
            ach_entries.c.reference == func.any(bindparam("refs", type_=ARRAY(Text))),
            ach_entries.c.trace == func.any(bindparam("traces", type_=ARRAY(Text))),
        ),
    )
)
MARK_SETTLED: Final = compiled(
    update(ach_entries)
    .where(
        ach_entries.c.account == bindparam("the_account"),
        ach_entries.c.reference == func.any(bindparam("refs", type_=ARRAY(Text))),
        ach_entries.c.state == literal(EntryState.FILED.value),
    )
    .values(state=EntryState.SETTLED.value)
)
OPEN_ACCOUNT: Final = compiled(
    insert(ach_accounts)
    .values(account=bindparam("account"), files=0, traces=0, reports_read=0)
    .on_conflict_do_nothing()
)
LOCK_ACCOUNT: Final = compiled(
    select(ach_accounts.c.files, ach_accounts.c.traces)
    .where(ach_accounts.c.account == bindparam("the_account"))
    .with_for_update()
)
DUE: Final = compiled(
    select(
        func.count().label("waiting"),
        (func.min(ach_entries.c.created_at) <= _now - cast(bindparam("window"), INTERVAL)).label(
            "old"
        ),
    ).where(ach_entries.c.account == bindparam("the_account"), _waiting)
)
TAKE: Final = compiled(
    select(ach_entries)
    .where(ach_entries.c.account == bindparam("the_account"), _waiting)
    .order_by(ach_entries.c.created_at, ach_entries.c.operation)
    .limit(bindparam("most"))
    .with_for_update()
)
_numbered: Final = (
    func.unnest(
        bindparam("refs", type_=ARRAY(Text)),
        bindparam("traces", type_=ARRAY(Text)),
    )
    .table_valued("reference", "trace", name="numbered")
    .render_derived()
)
FILE_ENTRIES: Final = compiled(
    update(ach_entries)
    .where(
        ach_entries.c.account == bindparam("the_account"),
        ach_entries.c.reference == _numbered.c.reference,
        _waiting,
    )
    .values(state=EntryState.FILED.value, trace=_numbered.c.trace, file_id=bindparam("the_file"))
)
WRITE_FILE: Final = compiled(
    insert(ach_files).values(
        account=bindparam("account"),
        file_id=bindparam("file_id"),
        content=bindparam("content"),
        sha256=bindparam("sha256"),
        state=FileState.WRITTEN.value,
        tries=0,
        lease_until=_now,
    )
)
COUNT_ON: Final = compiled(
    update(ach_accounts).where(ach_accounts.c.account == bindparam("the_account")),
    columns=("files", "traces"),
)
LEAVING: Final = compiled(
    select(ach_files)
    .where(
        ach_files.c.account == bindparam("the_account"),
        or_(
            ach_files.c.state == literal(FileState.WRITTEN.value),
            ach_files.c.state == literal(FileState.SENDING.value),
        ),
        ach_files.c.lease_until <= _now,
    )
    .order_by(ach_files.c.created_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
CLAIM: Final = compiled(
    update(ach_files)
    .where(
        ach_files.c.account == bindparam("the_account"),
        ach_files.c.file_id == bindparam("the_file"),
    )
    .values(
        state=FileState.SENDING.value,
        tries=ach_files.c.tries + 1,
        lease_until=_now + literal(FILE_LEASE),
    )
)
SETTLE: Final = compiled(
    update(ach_files)
    .where(
        ach_files.c.account == bindparam("the_account"),
        ach_files.c.file_id == bindparam("the_file"),
        ach_files.c.state == literal(FileState.SENDING.value),
    )
    .values(state=bindparam("to_state"))
)
RELEASE: Final = compiled(
    update(ach_files)
    .where(
        ach_files.c.account == bindparam("the_account"),
        ach_files.c.file_id == bindparam("the_file"),
    )
    .values(lease_until=_now + cast(bindparam("pause"), INTERVAL))
)
CURSOR: Final = compiled(
    select(ach_accounts.c.reports_read).where(ach_accounts.c.account == bindparam("the_account"))
)
ADVANCE: Final = compiled(
    insert(ach_accounts)
    .values(account=bindparam("account"), files=0, traces=0, reports_read=bindparam("reports_read"))
    .on_conflict_do_update(
        index_elements=["account"],
        set_={
            "reports_read": func.greatest(ach_accounts.c.reports_read, bindparam("reports_read"))
        },
    )
)
