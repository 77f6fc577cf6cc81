"""Which tests share a worker, and which come first, so that nobody is idle at the end."""

from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

END_TO_END = "tests/e2e/"
MESH = "the mesh"
# Compares all books with all processors: later tests charge behind everybody's back.
FIRST = "tests/e2e/test_demo.py"


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
    return MESH if file.startswith(END_TO_END) else file


def place_of(item: pytest.Item) -> tuple[bool, ...]:
    """Sorts tests: what takes longest is handed out first, so that small files fill the end.

    In the mesh the slow ones come last: they kill its processes. The demo is before everything.
    """
    file, slow = item.location[0], item.get_closest_marker("slow") is not None
    if file.startswith(END_TO_END):
        return False, file != FIRST, slow
    return True, not slow, "integration" not in PurePath(file).parts
