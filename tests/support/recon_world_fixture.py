"""Recon over the database of one test."""

import pytest

from cashier_common.db.engine import Database
from cashier_mesh.databases import ServiceDatabase
from tests.support.recon_world import World


@pytest.fixture
async def world(recon_db: Database, recon_database: ServiceDatabase) -> World:
    """The flows of recon, over an own database."""
    return World(recon_db, recon_database.app_url)
