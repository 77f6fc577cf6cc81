"""The layout of the services holds: import-linter's contracts, and that each of them bites."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT

SERVICES = ["crypto", "gateway", "recon", "risk", "router", "sandbox"]
LAYERS = ["domain", "flows", "storage", "clients", "rpc", "http", "workers"]

ALONE = "No deployable imports another one"
PLUMBING = "The libraries know no service"
FORMATS = "A library of a file format knows nothing of ours"
LAYERED = "app, then its adapters side by side, then flows, then domain"
PURE = "The domain reaches no library that talks to the world, not even through others"
TIMELESS = "The domain itself waits for nothing and asks neither the system nor a clock"
PORTS = "Flows speak to ports, never to SQL, gRPC or a processor's library"
TESTS = "Nothing that ships imports the tests"

OFFENCES = [
    (ALONE, "cashier_router/clients/a.py", "import cashier_gateway.domain"),
    (ALONE, "cashier_mesh/a.py", "import cashier_router.app"),
    (ALONE, "cashier_risk/a.py", "import cashier_mesh"),
    (PLUMBING, "cashier_common/a.py", "import cashier_recon.domain"),
    (PLUMBING, "cashier_nacha/a.py", "import cashier_gateway.domain"),
    (FORMATS, "cashier_nacha/b.py", "import cashier_common"),
    (LAYERED, "cashier_risk/domain/a.py", "import cashier_risk.flows"),
    (LAYERED, "cashier_risk/flows/a.py", "import cashier_risk.storage"),
    (LAYERED, "cashier_recon/flows/a.py", "import cashier_recon.clients"),
    (LAYERED, "cashier_gateway/rpc/a.py", "import cashier_gateway.storage"),
    (LAYERED, "cashier_gateway/workers/a.py", "import cashier_gateway.clients"),
    (LAYERED, "cashier_crypto/storage/a.py", "import cashier_crypto.app"),
    (PURE, "cashier_router/domain/a.py", "import grpc"),
    (PURE, "cashier_router/domain/b.py", "import sqlalchemy"),
    (PURE, "cashier_sandbox/domain/a.py", "import redis"),
    (PURE, "cashier_crypto/domain/a.py", "import opentelemetry"),
    (TIMELESS, "cashier_router/domain/c.py", "import asyncio"),
    (TIMELESS, "cashier_router/domain/d.py", "import os"),
    (TIMELESS, "cashier_router/domain/e.py", "import time"),
    (PORTS, "cashier_router/flows/a.py", "import sqlalchemy"),
    (PORTS, "cashier_router/flows/b.py", "import grpc"),
    (PORTS, "cashier_router/flows/c.py", "import asyncpg"),
    (TESTS, "cashier_common/b.py", "import tests"),
]


def lint_imports(folder: Path) -> tuple[int, str]:
    """Run the repository's contracts over the packages that `folder` holds."""
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"),
            *("--config", ROOT / "pyproject.toml"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def lay_out(folder: Path) -> None:
    """Write packages with every layer and nothing in them."""
    for package in ["common", "mesh", "nacha", *SERVICES]:
        for layer in ["", *(LAYERS if package in SERVICES else [])]:
            made = folder / f"cashier_{package}" / layer
            made.mkdir()
            (made / "__init__.py").touch()
        if package in SERVICES:
            (folder / f"cashier_{package}" / "app.py").touch()


@pytest.fixture(scope="module")
def report_on_offences(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("offences")
    lay_out(folder)
    for _, name, line in OFFENCES:
        (folder / name).write_text(line + "\n")

    status, report = lint_imports(folder)

    assert status == 1, report
    return report.split("Broken contracts")[-1]


def test_the_imports_of_every_service_follow_the_layout():
    status, report = lint_imports(ROOT)

    assert status == 0, report


def test_an_empty_layout_breaks_no_contract(tmp_path):
    """Otherwise the offences below would prove nothing."""
    lay_out(tmp_path)

    status, report = lint_imports(tmp_path)

    assert status == 0, report


@pytest.mark.parametrize(("contract", "name", "line"), OFFENCES)
def test_an_import_that_the_layout_forbids_is_found(report_on_offences, contract, name, line):
    findings = report_on_offences.split(f"{contract}\n{'-' * len(contract)}\n")[1]
    findings = findings.split("\n---")[0]
    importer = name.removesuffix(".py").replace("/", ".")

    assert f"{importer} -> {line.removeprefix('import ')}" in findings
