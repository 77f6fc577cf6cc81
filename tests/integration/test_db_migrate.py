"""Migrations run once, whoever starts them, and leave the app role with no more than it needs."""

import asyncio
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from cashier_common.db.engine import Database
from cashier_common.db.failures import ConstraintBroken
from cashier_common.db.migrate import run_migrations
from cashier_common.db.transaction import compiled

SAMPLE = "tests.support.sample_service"
FORGED_TIME = (
    "INSERT INTO steps (shard, merchant, subject, version, actor, action, before_state, "
    "after_state, payload, payload_hash, traceparent, record_time) VALUES "
    "(0, 'm', 's', 1, '', '', '', '', '', sha256(''), '', now() - interval '1 day')"
)
ALL = ["0001_pre_start", "0002_pre_wallets", "0003_post_nicknames"]


async def test_replicas_may_race_and_each_file_is_applied_once(database):
    url = database.owner_url

    runs = await asyncio.gather(*(run_migrations(SAMPLE, url) for _ in range(4)))

    assert sorted([ALL, [], [], []], key=len) == sorted(runs, key=len)


async def test_post_migrations_wait_until_they_are_asked_for(database):
    url = database.owner_url.replace("postgresql://", "postgresql+asyncpg://")

    before = await run_migrations(SAMPLE, url, phase="pre")
    again = await run_migrations(SAMPLE, url, phase="pre")
    after = await run_migrations(SAMPLE, url)

    assert [ALL[:2], [], ALL[2:]] == [before, again, after]


async def test_a_failing_migration_leaves_the_version_before_it(
    database, as_owner, tmp_path, monkeypatch
):
    package = tmp_path / "broken_service"
    shutil.copytree(Path(sys.modules[SAMPLE].__file__).parent, package)
    bad = package / "migrations/versions/0003_post_nicknames.py"
    bad.write_text(bad.read_text() + "    op.execute('SELECT 1 / 0')\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(sa.exc.DBAPIError, match="division by zero"):
        await run_migrations("broken_service", database.owner_url)

    version = await as_owner("SELECT version_num FROM alembic_version WHERE $1", True)
    assert ["0002"] == [row[0] for row in version]
    assert ALL[2:] == await run_migrations(SAMPLE, database.owner_url)


async def test_a_file_with_another_name_is_refused(database, tmp_path, monkeypatch):
    versions = tmp_path / "misnamed_service" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions.parent.parent / "__init__.py").touch()
    (versions / "start.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ValueError, match=r"migration start\.py of misnamed_service must be named"):
        await run_migrations("misnamed_service", database.owner_url)


async def test_the_app_role_works_on_ordinary_tables_and_constraints_have_known_names(
    sample_database,
):
    db = await Database.connect(sample_database.app_url, name="test")
    wallets = sa.table("wallets", sa.column("name", sa.Text), sa.column("balance", sa.BigInteger))

    async with db.begin() as tx:
        tx.write(compiled(sa.insert(wallets)), name="ada", balance=1)
    assert 1 == await db.execute(compiled(sa.update(wallets).values(balance=2)))
    with pytest.raises(ConstraintBroken) as broken:
        await db.execute(compiled(sa.update(wallets).values(balance=-1)))
    assert 1 == await db.execute(compiled(sa.delete(wallets)))

    assert "wallets_balance_not_negative_check" == broken.value.constraint
    await db.close()


@pytest.mark.parametrize(
    "forbidden",
    [
        "UPDATE steps SET payload = ''",
        "DELETE FROM steps",
        "TRUNCATE steps",
        "UPDATE seals SET position = position + 1",
        "DELETE FROM seals",
        "TRUNCATE seals",
        "UPDATE receipts SET id = 1",
        "DELETE FROM receipts",
        "ALTER TABLE steps OWNER TO CURRENT_USER",
        "ALTER TABLE seals DISABLE TRIGGER ALL",
        "DROP TABLE steps",
        "CREATE TABLE mine (id int)",
        "UPDATE alembic_version SET version_num = '0'",
        FORGED_TIME,
    ],
)
async def test_the_app_role_cannot_rewrite_history(sample_database, forbidden):
    app = await asyncpg.connect(sample_database.app_url)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(forbidden)

    await app.close()


async def test_the_app_role_owns_nothing(sample_database, as_owner):
    owners = await as_owner(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = $1", "public"
    )

    assert ["cashier_sample_owner"] == [row[0] for row in owners]
