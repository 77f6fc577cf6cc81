"""What the repository carries works on any machine, behind any mirror, and leaks no secret."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, tracked

# Where packages are fetched from is each machine's own setting.
REGISTRY = re.compile(
    r"https?://[\w.-]*(pypi|pythonhosted|npmjs|yarnpkg|artifactory|nexus|goproxy)[\w.-]*|"
    r"^--?(index-url|extra-index-url|find-links|i|f)\b",
    re.MULTILINE,
)
MACHINE_PATH = re.compile(r"(?<![\w./<-])/(home|Users|root|work)/[\w.-]+")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=]{40}")
NEVER_TRACKED = re.compile(r"(^|/)(uv\.lock|\.env|\.npmrc|node_modules/|\.venv/|\.tools/|\.data/)")


def offences(text: str) -> Iterator[str]:
    """Say what this text ties to one machine or gives away."""
    if found := REGISTRY.search(text):
        yield f"the registry address {found[0]}"
    if found := MACHINE_PATH.search(text):
        yield f"the path {found[0]} of one machine"
    if PRIVATE_KEY.search(text):
        yield "a private key"


def texts() -> Iterator[tuple[str, str]]:
    for name in tracked():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content and name != Path(__file__).relative_to(ROOT).as_posix():
            yield name, content.decode(errors="replace")


def test_no_file_names_a_registry_a_machine_or_a_key():
    assert [] == [f"{name}: {offence}" for name, text in texts() for offence in offences(text)]


def test_nothing_is_tracked_that_set_up_makes():
    command = ["git", "ls-files"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert [] == [name for name in names.splitlines() if NEVER_TRACKED.search(name)]


@pytest.mark.parametrize(
    "text",
    [
        "resolved: https://registry.npmjs.org/x.tgz",
        "x @ https://files.pythonhosted.org/x.whl",
        "--index-url https://mirror.example/simple",
        "-i https://mirror.example/simple",
        "cache = '/home/ada/.cache'",
        "cd /root/project",
        "-----BEGIN EC PRIVATE KEY-----\n" + "M" * 64,
    ],
)
def test_an_offence_is_found(text):
    assert 1 == len(list(offences(text)))


@pytest.mark.parametrize("text", ["https://docs.stripe.com", "/var/lib", "a/home/x", "make -i x"])
def test_harmless_text_passes(text):
    assert [] == list(offences(text))


def test_every_locked_package_is_pinned_and_hashed():
    for lock in [name for name in tracked() if name.endswith("requirements.lock")]:
        blocks = re.split(r"\n(?=\S)", (ROOT / lock).read_text())
        packages = [block for block in blocks if not block.startswith("#")]

        assert packages, lock
        assert [] == [b for b in packages if "==" not in b or "--hash=sha256:" not in b], lock


def test_npm_locks_hold_hashes_and_no_addresses():
    for lock in [name for name in tracked() if name.endswith("package-lock.json")]:
        packages = json.loads((ROOT / lock).read_text())["packages"]
        fetched = {name: package for name, package in packages.items() if name}

        assert fetched, lock
        assert [] == [n for n, p in fetched.items() if "resolved" in p or "integrity" not in p]
