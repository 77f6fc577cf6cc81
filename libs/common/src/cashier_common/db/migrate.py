"""Brings a service's database to the version of its code; every replica may run it at once."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import structlog
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from cashier_common.db.schema import (
    create_audit_tables,
    create_expect_rows,
    create_requests_table,
    grant_app_role,
    make_append_only,
)
from cashier_common.db.types import service_metadata

LOCK: Final = 0x43_41_53_48
"""The advisory lock of migrations; one database belongs to one service, so one number does."""
LOCK_WAIT_S: Final = 120
"""Replicas that start together wait for the one that migrates."""
DDL_LOCK_WAIT_S: Final = 5
"""An ALTER that waits blocks every statement behind it, so it gives up and is run again."""

_FILE: Final = re.compile(r"^\d{4}_(pre|post)_[a-z0-9_]+\.py$")
_log = structlog.get_logger(__name__)

Phase = Literal["pre", "post"]


async def run_migrations(package: str, owner_url: str, *, phase: Phase = "post") -> list[str]:
    """Apply what is pending in `<package>/migrations/versions`; the names of the applied files.

    `phase="pre"` stops before the first pending `post` migration: those run once the old code is
    gone. Each file is one transaction, so a crash leaves a database of some version, and the next
    run goes on. Files are named `0001_pre_<what>.py`; ValueError names one that is not.
    """
    script = _scripts(package)
    engine = create_async_engine(
        make_url(owner_url).set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        connect_args={"server_settings": {"application_name": f"{package} migrate"}},
    )
    try:
        async with engine.connect() as connection:
            # The lock is the session's: it outlives each file's transaction, and a crash frees it.
            await connection.execute(text(f"SET lock_timeout = '{LOCK_WAIT_S}s'"))
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
            await connection.execute(text(f"SET lock_timeout = '{DDL_LOCK_WAIT_S}s'"))
            await connection.commit()
            applied = await connection.run_sync(_upgrade, script, phase)
            await connection.commit()
    finally:
        await engine.dispose()
    _log.info("database_migrated", package=package, applied=applied)
    return applied


def _scripts(package: str) -> ScriptDirectory:
    folder = Path(str(files(package))) / "migrations"
    for file in (folder / "versions").glob("[!_]*.py"):
        if not _FILE.match(file.name):
            raise ValueError(
                f"migration {file.name} of {package} must be named like 0001_pre_start.py: "
                "a number, then pre (works with the running code) or post (after it is gone)"
            )
    return ScriptDirectory(str(folder))


def _upgrade(connection: Connection, script: ScriptDirectory, phase: Phase) -> list[str]:
    current = MigrationContext.configure(connection).get_current_revision()
    connection.commit()  # or Alembic would put every file into the transaction that this read began
    pending = _pending(script, current, phase)
    if not pending:
        return []
    target = pending[-1].revision

    def steps(revision: object, context: MigrationContext) -> object:
        del context
        return script._upgrade_revs(target, revision)  # type: ignore[arg-type]  # noqa: SLF001

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(
            connection=connection,
            target_metadata=service_metadata(),  # for its naming convention
            transaction_per_migration=True,
        )
        with environment.begin_transaction():
            environment.run_migrations()
    return [Path(revision.path).stem for revision in pending]


def _pending(script: ScriptDirectory, current: str | None, phase: Phase) -> list[Script]:
    newest_first = script.iterate_revisions("head", current or "base")
    pending = [revision for revision in newest_first if revision.revision != current]
    pending.reverse()
    if phase == "post":
        return pending
    kept: list[Script] = []
    for revision in pending:
        if Path(revision.path).name.split("_")[1] == "post":
            break
        kept.append(revision)
    return kept


__all__ = [
    "create_audit_tables",
    "create_expect_rows",
    "create_requests_table",
    "grant_app_role",
    "make_append_only",
    "run_migrations",
]
