"""The fixture of `router_book`, apart from it so that tests may import both."""

import pytest

from cashier_common.clock import SystemClock
from cashier_common.db.engine import Database
from cashier_router.flows.ports import World
from cashier_router.storage.store import PaymentStore
from tests.support.router_book import QUESTIONS, NoRails, Shelf, through


@pytest.fixture
async def shelf(router_database, as_owner):
    """The router's own tables, empty."""
    database = await Database.connect(router_database.app_url, name="test")
    store = PaymentStore(database, QUESTIONS)
    world = World(
        store=store, risk=None, rails=NoRails(), clock=SystemClock(), failpoint=through,
        questions=QUESTIONS,
    )  # fmt: skip
    yield Shelf(database, store, world, as_owner)
    await database.close()
