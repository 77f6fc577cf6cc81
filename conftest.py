"""Fixtures that every test may use."""

import pytest

pytest_plugins = ["tests.support.postgres_fixture", "tests.support.whole_mesh"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that both workers are busy to the end: those with a whole mesh."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)
