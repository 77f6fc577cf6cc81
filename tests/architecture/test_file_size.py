"""A file is one noun or one verb: over 300 lines it has become two."""

from pathlib import Path

import pytest

from tests.architecture.repository import GENERATED, ROOT, tracked

LINES_MAX = 300
# Contracts are left out: comments on every field are asked for, and a service stands in one file
# with its requests and responses.
CODE = (".py", ".sh", ".sql", "Makefile", "Dockerfile", ".ci/run", ".ci/setup")


def too_long(root: Path, names: list[str]) -> list[str]:
    """Say which files of code have more than LINES_MAX lines."""
    findings = []
    for name in names:
        if name.endswith(CODE) and not name.startswith(GENERATED):
            lines = len((root / name).read_text().splitlines())
            if lines > LINES_MAX:
                findings.append(f"{name} has {lines} lines, {LINES_MAX} are allowed: split it")
    return findings


def test_no_file_of_code_is_too_long():
    assert [] == too_long(ROOT, tracked())


@pytest.mark.parametrize(("lines", "found"), [(LINES_MAX, 0), (LINES_MAX + 1, 1)])
def test_a_file_one_line_too_long_is_found(tmp_path, lines, found):
    (tmp_path / "settle.py").write_text("pass\n" * lines)

    assert found == len(too_long(tmp_path, ["settle.py"]))
