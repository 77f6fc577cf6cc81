"""Processor accounts in the gateway's database: every version is a step, whoever applies it."""

import asyncio
import json

import asyncpg
import pytest

from cashier_common.db.audit import Sealer, verify
from cashier_common.db.engine import Database
from cashier_common.settings import SettingsRefused
from cashier_gateway.flows.apply_accounts import seed_accounts
from cashier_gateway.storage.account_registry import AccountRegistry
from tests.support.gateway_accounts import applied, registry, rows, service
from tests.unit.test_gateway_account import an_account

__all__ = ["registry", "rows", "service"]
STEPS = (
    "SELECT subject, version, actor, action, before_state, after_state, payload FROM steps "
    "ORDER BY subject, version"
)


async def test_every_version_of_an_account_stands_in_the_record(registry, rows, service):
    await applied(registry, an_account(), an_account(account_id="two"))
    await applied(registry, an_account(state="DRAINING", timeout_s=2.5))
    await applied(registry, an_account(state="DRAINING", timeout_s=2.5))

    steps = await rows.fetch(STEPS)
    database = await Database.connect(service.app_url, name="test")
    await Sealer(database).seal()
    report = await verify(database)
    await database.close()

    assert [
        ("accounts/one", 1, "operator/ann", "ADD", "ABSENT", "ENABLED"),
        ("accounts/one", 2, "operator/ann", "CHANGE", "ENABLED", "DRAINING"),
        ("accounts/two", 1, "operator/ann", "ADD", "ABSENT", "ENABLED"),
    ] == [tuple(step)[:6] for step in steps]
    payload = json.loads(steps[1]["payload"])
    assert ("a test", ["state", "timeout_s"]) == (payload["reason"], payload["fields"])
    assert 2.5 == json.loads(payload["document"])["timeout_s"]
    assert ([], 3) == (report.findings, report.checked)


async def test_a_list_is_applied_whole_or_not_at_all(registry, rows):
    await applied(registry, an_account())

    with pytest.raises(SettingsRefused, match="cannot become 'stripe'"):
        await applied(registry, an_account(account_id="two"), an_account(processor="stripe"))

    assert 1 == await rows.fetchval("SELECT count(*) FROM processor_accounts")
    assert 1 == await rows.fetchval("SELECT count(*) FROM steps")


async def test_more_accounts_than_a_unit_has_writes_are_one_unit(registry, rows):
    accounts = [an_account(account_id=f"account-{number}") for number in range(60)]

    await applied(registry, *accounts)

    assert 60 == await rows.fetchval("SELECT count(*) FROM processor_accounts")
    assert 60 == await rows.fetchval("SELECT count(*) FROM steps")


async def test_replicas_that_apply_at_once_leave_no_version_out(registry, rows, service):
    """Each of ten wants another time-out: whatever the order, ten versions stand in a row."""
    others = [await Database.connect(service.app_url, name="replica") for _ in range(3)]
    books = [registry, *(AccountRegistry(database) for database in others)]

    await asyncio.gather(
        *(
            applied(books[number % 4], an_account(timeout_s=number), an_account(account_id="two"))
            for number in range(1, 11)
        )
    )
    for database in others:
        await database.close()

    versions = await rows.fetch(
        "SELECT version FROM steps WHERE subject = 'accounts/one' ORDER BY 1"
    )
    assert list(range(1, 11)) == [row["version"] for row in versions]
    assert 1 == await rows.fetchval("SELECT count(*) FROM steps WHERE subject = 'accounts/two'")
    last = await rows.fetchval("SELECT payload FROM steps WHERE version = 10")
    kept = await registry.all()
    assert kept[0].document == json.loads(json.loads(last)["document"])


async def test_two_processes_that_seed_at_once_write_each_account_once(registry, rows):
    accounts = [an_account(), an_account(account_id="two")]

    await asyncio.gather(*(seed_accounts(accounts, registry, only_empty=False) for _ in range(4)))

    assert 2 == await rows.fetchval("SELECT count(*) FROM steps")


async def test_a_start_never_goes_over_what_an_operator_applied(registry):
    one, two = an_account(), an_account(account_id="two")
    await seed_accounts([one, two], registry, only_empty=False)
    await applied(registry, an_account(state="DRAINING"))

    again = await seed_accounts(
        [one, an_account(account_id="two", timeout_s=4)], registry, only_empty=False
    )

    assert {"one": "DRAINING", "two": "ENABLED"} == {
        kept.account_id: kept.state for kept in await registry.all()
    }
    assert (["two"], ("one",)) == ([c.account_id for c in again.changes], again.left)


async def test_development_fills_an_empty_table_alone(registry):
    await applied(registry, an_account(account_id="mine"))

    seeded = await seed_accounts([an_account()], registry, only_empty=True)

    assert () == seeded.changes
    assert ["mine"] == [kept.account_id for kept in await registry.all()]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE steps SET actor = 'operator/nobody'",
        "DELETE FROM steps",
        "DELETE FROM processor_accounts",
        "TRUNCATE processor_accounts",
        "ALTER TABLE processor_accounts DISABLE TRIGGER ALL",
    ],
)
async def test_the_application_can_change_no_history(registry, service, statement):
    await applied(registry, an_account())
    app = await asyncpg.connect(service.app_url)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)

    await app.close()


async def test_a_row_that_contradicts_its_document_cannot_stand(registry, rows):
    await applied(registry, an_account())

    with pytest.raises(asyncpg.CheckViolationError):
        await rows.execute("UPDATE processor_accounts SET state = 'DISABLED'")
