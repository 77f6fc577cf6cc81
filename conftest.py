"""Fixtures that every test may use."""

pytest_plugins = ["tests.support.postgres_fixture", "tests.support.whole_mesh"]
