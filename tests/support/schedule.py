"""Which tests share a worker, and which come first, so that nobody is idle at the end."""

from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

END_TO_END = "tests/e2e/"
MESH = "the mesh"
# These start a mesh of their own, as a person would.
OWN_MESH = frozenset({"tests/e2e/test_demo.py"})


class Schedule(LoadScopeScheduling):
    """A file stays in one worker; all files that call the mesh of `tests/e2e` stay in the same."""

    def schedule(self) -> None:
        """Hand them out in their order, not those with the most tests first."""
        self.config.option.loadscopereorder = False
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])


def scope_of(file: str) -> str:
    """What a file's tests share a worker with, by its path in the repository."""
    return MESH if file.startswith(END_TO_END) and file not in OWN_MESH else file


def place_of(item: pytest.Item) -> tuple[bool, ...]:
    """Sorts tests: what takes longest is handed out first, so that small files fill the end.

    In the mesh the slow ones come last: they kill its processes.
    """
    folders, slow = PurePath(item.location[0]).parts, item.get_closest_marker("slow") is not None
    if "e2e" in folders:
        return False, slow
    return True, not slow, "integration" not in folders
