"""No float comes near money, and no rule asks a clock: in `domain` and `flows` of every service."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, sources

# Seconds are floats everywhere in Python; the unit in the name tells them from money.
TIME_UNIT = re.compile(r"_(s|ms|seconds)$", re.IGNORECASE)
# Path below `src` → why it may hold floats that are not seconds; only where nothing counts money.
FLOATS_ALLOWED = {
    "cashier_sandbox/domain/chance.py": "the odds and latencies of an imitation processor",
}
WAY_OUT = "count money in minor units; if it is a time, end its name in _s"
MONEY_MODULES = ("cashier_common/money.py", "cashier_common/assets.py")
CLOCKS = {
    ("date", "today"),
    ("datetime", "now"),
    ("datetime", "today"),
    ("datetime", "utcnow"),
}


def floats(source: str) -> Iterator[str]:
    """Say where a float is written, named or would come of a division, unless it is seconds."""
    tree = ast.parse(source)
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() as value):
                finding = f"line {node.lineno}: the float {value}"
            case ast.Name(id="float"):
                finding = f"line {node.lineno}: the name float"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                finding = f"line {node.lineno}: a true division, which gives a float"
            case _:
                continue
        if not is_time(node, above):
            yield finding


def is_time(node: ast.AST, above: Mapping[ast.AST, ast.AST]) -> bool:
    """Whether the value is reckoned with, or goes into, what is named as a time."""
    if beside_time(node) or beside_time(above.get(node)):
        return True
    inner: ast.AST | None = node
    while inner is not None:
        match inner:
            case ast.keyword() | ast.arg():
                return ends_in_time(inner.arg)
            case ast.Assign():
                return all(are_times(target) for target in inner.targets)
            case ast.For(target=target) | ast.AsyncFor(target=target):
                return are_times(target)
            case ast.AnnAssign() | ast.AugAssign():
                return ends_in_time(name_of(inner.target))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return ends_in_time(inner.name)
            case ast.stmt():
                return False
        inner = above.get(inner)
    return False


def beside_time(node: ast.AST | None) -> bool:
    match node:
        case ast.BinOp(left=left, right=right) | ast.Compare(left=left, comparators=[right]):
            return ends_in_time(name_of(left)) or ends_in_time(name_of(right))
    return False


def are_times(target: ast.expr) -> bool:
    each = target.elts if isinstance(target, ast.Tuple) else [target]
    return all(ends_in_time(name_of(one)) for one in each)


def name_of(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def ends_in_time(name: str | None) -> bool:
    return bool(name) and TIME_UNIT.search(name or "") is not None


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
                found += [f"{name}, {finding} ({WAY_OUT})" for finding in floats(source)]
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
    [
        "fee = amount * 0.029",
        "fee = float(amount)",
        "half = amount / 2",
        "amount /= 2",
        "fee: float",
        "book(amount=1.5)",
        "book(amount * 0.029, wait_s)",
        "total = amount * 0.029 + wait_s",
        "FEE_RATE = 0.029",
    ],
)
def test_a_float_is_found(line):
    assert 1 == len(list(floats(line)))


@pytest.mark.parametrize(
    "line",
    [
        "fee = amount * 29 // 1000",
        "isinstance(x, int)",
        "SEND_BUDGET_S = 20.0",
        "wait_s: float",
        "sleep(delay_ms / 1000)",
        "left = deadline_s - 0.25",
        "FIRST_S, LAST_S = 0.02, 0.25",
        "answer(retry_after_s=2.0)",
        "def remaining_s() -> float: ...",
    ],
)
def test_integers_and_seconds_pass(line):
    assert [] == list(floats(line))


@pytest.mark.parametrize(
    "line", ["datetime.now(UTC)", "at = datetime.datetime.utcnow()", "f(date.today())"]
)
def test_a_look_at_the_clock_is_found(line):
    assert 1 == len(list(clocks(line)))


def test_a_clock_that_was_handed_in_passes():
    assert [] == list(clocks("at = clock.now()"))
