"""An empty gateway database and what applies accounts to it, as the tests of accounts share it."""

from typing import Any

import asyncpg
import pytest

from cashier_common.db.engine import Database
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.flows.apply_accounts import Applied, apply_accounts
from cashier_gateway.flows.ports import Origin
from cashier_gateway.storage.account_registry import AccountRegistry

ANN = Origin("operator/ann", "")


@pytest.fixture
def service(gateway_database: Any) -> Any:
    """A database of the gateway without an account."""
    return gateway_database


@pytest.fixture
async def registry(service: Any) -> Any:
    """The accounts, as the application's role."""
    database = await Database.connect(service.app_url, name="test")
    yield AccountRegistry(database)
    await database.close()


@pytest.fixture
async def rows(service: Any) -> Any:
    """The tables, as the owner."""
    connection = await asyncpg.connect(service.owner_url)
    yield connection
    await connection.close()


async def applied(registry: AccountRegistry, *accounts: ProcessorAccount, **how: bool) -> Applied:
    """What the operator Ann applies."""
    return await apply_accounts(accounts, registry, ANN, reason="a test", **how)
