"""Fixtures that every test may use, and which tests share a process when several run at once."""

import pytest

pytest_plugins = ["tests.support.postgres_fixture", "tests.support.whole_mesh"]

# A mesh is a dozen processes on two cores: the tests of one mesh run in one worker, in turn.
MESHES = ("whole_mesh", "mesh")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a mesh's tests together, and otherwise a file's; those with a mesh come first."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        shared = next((mesh for mesh in MESHES if mesh in fixtures), item.path.name)
        item.add_marker(pytest.mark.xdist_group(shared))
    items.sort(key=lambda item: "e2e" not in item.path.parts)
