"""What holds for every test: the fixtures that all may use, who shares a worker, one seed a run."""

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.schedule import Schedule, place_of
from tests.support.seed import SEED_VARIABLE, leave_to_the_long_run

if TYPE_CHECKING:
    from xdist.remote import Producer

pytest_plugins = ["tests.support.postgres_fixture"]
SEEDS = 1_000_000


def pytest_configure() -> None:
    """Choose the seed before there are workers: they inherit it."""
    os.environ.setdefault(SEED_VARIABLE, str(secrets.randbelow(SEEDS)))


def pytest_report_header() -> str:
    """Say which seed makes the same run again."""
    return f"seed: {os.environ[SEED_VARIABLE]} ({SEED_VARIABLE}=… repeats its crash points)"


@pytest.hookimpl(tryfirst=True)  # before those marked `long` are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what the seed did not pick to the long run, and put the long ones first."""
    leave_to_the_long_run(items)
    items.sort(key=place_of)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> Schedule:
    """Hand out whole files, and the mesh once."""
    return Schedule(config, log)
