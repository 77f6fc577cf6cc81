"""The pictures of the state machines show the tables that the code runs on."""

import importlib
from enum import StrEnum
from pathlib import Path

from cashier_common.statetable import StateTable, render
from tests.architecture.repository import ROOT

PATTERNS = ("services/*/src/*/domain/lifecycle.py", "services/*/*/src/*/domain/lifecycle.py")


def stale(root: Path) -> list[str]:
    """Say which LIFECYCLE.md differs from what its service's tables give."""
    findings = []
    for path in sorted(found for pattern in PATTERNS for found in root.glob(pattern)):
        service, package = path.parents[3], path.parents[1].name
        module = f"{package}.domain.lifecycle"
        tables = getattr(importlib.import_module(module), "TABLES", None)
        picture = service / "LIFECYCLE.md"
        if not tables:
            findings.append(f"{module} names no TABLES")
        elif not picture.exists() or picture.read_text() != render(tables, module):
            findings.append(f"{picture.relative_to(root)} is stale, run `make diagrams`")
    return findings


def test_every_diagram_shows_its_table():
    assert [] == stale(ROOT)


class Light(StrEnum):
    RED = "red"
    GREEN = "green"


class Turn(StrEnum):
    GO = "go"


def test_a_stale_and_a_missing_diagram_are_found(tmp_path, monkeypatch):
    domain = tmp_path / "services/lamp/src/cashier_lamp/domain"
    domain.mkdir(parents=True)
    (domain / "lifecycle.py").write_text(
        "from tests.architecture.test_lifecycle import Light, StateTable, Turn\n"
        "TABLES = (StateTable('lamp', Light.RED, {(Light.RED, Turn.GO): Light.GREEN}),)\n"
    )
    monkeypatch.syspath_prepend(str(domain.parents[1]))
    picture = tmp_path / "services/lamp/LIFECYCLE.md"
    fresh = render(
        (StateTable("lamp", Light.RED, {(Light.RED, Turn.GO): Light.GREEN}),),
        "cashier_lamp.domain.lifecycle",
    )

    missing = stale(tmp_path)
    picture.write_text(fresh.replace("RED", "BLUE"))
    changed = stale(tmp_path)
    picture.write_text(fresh)
    drawn = stale(tmp_path)

    finding = ["services/lamp/LIFECYCLE.md is stale, run `make diagrams`"]
    assert (finding, finding, []) == (missing, changed, drawn)
