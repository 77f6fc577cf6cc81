"""A service installs alone: the lock as constraints, its own folder and the libraries, no more."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, tracked

UV = Path(sys.executable).with_name("uv")
LIBRARIES = {"cashier": "protos/gen", "cashier_common": "libs/common"}
SERVICES = {
    "cashier_router": "services/router",
    "cashier_risk": "services/risk",
    "cashier_recon": "services/recon",
    "cashier_gateway": "services/processors/gateway",
    "cashier_crypto": "services/processors/crypto",
    "cashier_sandbox": "services/processors/sandbox",
}
FORMATS = {"cashier_nacha": "libs/nacha"}  # both speak of files that banks read
OURS = {*LIBRARIES, *FORMATS, "cashier_mesh", *SERVICES}
ALONE = {"cashier_sandbox"}  # speaks HTTP only, so it needs no other library of ours
FIND = """
import importlib.util, sys
print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name)])
"""


def run(*command: str | Path, cwd: Path) -> str:
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def checkout(into: Path, folders: list[str]) -> None:
    """Copy what a Dockerfile copies: the lock, the workspace file and a few folders."""
    for name in ["requirements.lock", "pyproject.toml"]:
        shutil.copy(ROOT / name, into / name)
    for name in tracked():
        if name.startswith(tuple(f"{folder}/" for folder in folders)):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, into / name)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.some(1)
@pytest.mark.parametrize("package", ["cashier_sandbox", "cashier_gateway"])
def test_an_installed_service_finds_itself_and_the_libraries_alone(tmp_path, package):
    libraries = FORMATS if package in ALONE else {**LIBRARIES, **FORMATS}
    folders = [*libraries.values(), SERVICES[package]]
    checkout(tmp_path, folders)
    python = tmp_path / "app/bin/python"

    run(UV, "venv", "-q", "--python", sys.executable, tmp_path / "app", cwd=tmp_path)
    run(
        *(UV, "pip", "install", "-q", "--no-sources", "--python", python),
        *("--constraints", "requirements.lock", "--build-constraints", "requirements.lock"),
        *(f"./{folder}" for folder in folders),
        cwd=tmp_path,
    )

    found = run(python, "-c", FIND, *sorted(OURS), cwd=tmp_path / "app").split()
    assert sorted([*libraries, package]) == found
    run(python, "-c", f"import {package}.__main__", cwd=tmp_path / "app")
    locked = (ROOT / "requirements.lock").read_text()
    frozen = run(UV, "pip", "freeze", "--python", python, cwd=tmp_path).splitlines()
    assert [] == [f for f in frozen if not f.startswith("cashier-") and f"{f} " not in locked]


def test_the_list_of_services_is_complete():
    folders = {
        str(path.parent.relative_to(ROOT)) for path in ROOT.glob("services/**/pyproject.toml")
    }

    assert set(SERVICES.values()) == folders
