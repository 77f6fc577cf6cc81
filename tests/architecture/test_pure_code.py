"""No float comes near money, and no rule asks a clock: in `domain` and `flows` of every service."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, sources

# Path below `src` → why this file may hold a float. A path ends the search for all its floats, so
# a file is listed only if nothing in it counts money.
FLOATS_ALLOWED: dict[str, str] = {}
MONEY_MODULES = ("cashier_common/money.py", "cashier_common/assets.py")
CLOCKS = {
    ("date", "today"),
    ("datetime", "now"),
    ("datetime", "today"),
    ("datetime", "utcnow"),
}


def floats(source: str) -> Iterator[str]:
    """Say where a float is written, made or true division would make one."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float() as value):
                yield f"line {node.lineno}: the float {value}"
            case ast.Name(id="float"):
                yield f"line {node.lineno}: the name float"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"line {node.lineno}: a true division, which gives a float"


def clocks(source: str) -> Iterator[str]:
    """Say where the code asks what time it is, instead of being told."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr=asked, value=ast.Name(id=kind) | ast.Attribute(attr=kind)):
                if (kind, asked) in CLOCKS:
                    yield f"line {node.lineno}: {kind}.{asked}"


def about_money(name: str) -> bool:
    below = name.split("/src/")[1]
    layer = below.split("/")[1:2]
    return below in MONEY_MODULES or layer in (["domain"], ["flows"])


def findings(root: Path = ROOT) -> list[str]:
    found = []
    for name in sources(root):
        source = (root / name).read_text()
        below = name.split("/src/")[1]
        if about_money(name):
            if below not in FLOATS_ALLOWED:
                found += [f"{name}, {finding}" for finding in floats(source)]
            found += [f"{name}, {finding}" for finding in clocks(source)]
    return found


def test_no_float_and_no_clock_in_domain_and_flows():
    assert [] == findings()


def test_every_allowed_file_still_needs_its_exception():
    holding = {
        name.split("/src/")[1]
        for name in sources()
        if about_money(name) and any(floats((ROOT / name).read_text()))
    }

    assert set() == set(FLOATS_ALLOWED) - holding


@pytest.mark.parametrize(
    "line",
    ["fee = amount * 0.029", "fee = float(amount)", "half = amount / 2", "amount /= 2", "x: float"],
)
def test_a_float_is_found(line):
    assert 1 == len(list(floats(line)))


@pytest.mark.parametrize("line", ["fee = amount * 29 // 1000", "isinstance(x, int)", "folder('/')"])
def test_integers_pass(line):
    assert [] == list(floats(line))


@pytest.mark.parametrize(
    "line", ["datetime.now(UTC)", "at = datetime.datetime.utcnow()", "f(date.today())"]
)
def test_a_look_at_the_clock_is_found(line):
    assert 1 == len(list(clocks(line)))


def test_a_clock_that_was_handed_in_passes():
    assert [] == list(clocks("at = clock.now()"))
