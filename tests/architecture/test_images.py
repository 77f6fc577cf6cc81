"""Each service has an image of its own that is pinned by the lock and runs without rights."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, tracked

HADOLINT = Path(sys.executable).with_name("hadolint")
GOOD = """FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 cashier
USER 10001
ENTRYPOINT ["python", "-m", "cashier_lamp"]
CMD ["serve"]
"""


def services() -> list[str]:
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]
    return [member for member in workspace["members"] if member.startswith("services/")]


def complaints(dockerfile: Path, package: str) -> list[str]:
    """Say what hadolint, and what our own rules, find in a Dockerfile."""
    done = subprocess.run(
        [HADOLINT, "--no-color", dockerfile], capture_output=True, text=True, check=False
    )
    found = done.stdout.splitlines()
    text = dockerfile.read_text()
    last_stage = text[text.rindex("\nFROM ") :] if "\nFROM " in text else text
    users = re.findall(r"^USER (\S+)", last_stage, re.MULTILINE)
    if not users or users[-1] in {"root", "0"}:
        found.append("it runs as root")
    if f'ENTRYPOINT ["python", "-m", "{package}"]' not in text or 'CMD ["serve"]' not in text:
        found.append(f"it does not run `python -m {package} serve`")
    return found


def test_every_service_has_a_dockerfile():
    assert {f"{folder}/Dockerfile" for folder in services()} == {
        name for name in tracked() if name.endswith("Dockerfile")
    }


@pytest.mark.parametrize("folder", services())
def test_an_image_passes_the_lint_and_runs_its_service_without_rights(folder):
    package = f"cashier_{Path(folder).name}"

    assert [] == complaints(ROOT / folder / "Dockerfile", package)


@pytest.mark.parametrize("folder", services())
def test_an_image_holds_one_service(folder):
    copied = re.findall(r"^COPY (\S+) ", (ROOT / folder / "Dockerfile").read_text(), re.MULTILINE)

    needs = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]["dependencies"]
    libraries = ["protos/gen", "libs/common"] if "cashier-common" in needs else []
    libraries += ["libs/nacha"] if "cashier-nacha" in needs else []
    own = ["requirements.lock", *libraries, folder, "--from=build"]
    assert own == copied


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("USER 10001\n", "", "runs as root"),
        ("USER 10001\n", "USER root\n", "runs as root"),
        ('["serve"]', '["work"]', "does not run"),
        (":3.11-slim-bookworm", ":latest", "DL3007"),
        ("USER 10001", "RUN pip install uv\nUSER 10001", "DL3013"),
    ],
)
def test_a_bad_image_is_found(tmp_path, before, after, complaint):
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(GOOD)
    assert [] == complaints(dockerfile, "cashier_lamp")
    dockerfile.write_text(GOOD.replace(before, after))

    assert complaint in " ".join(complaints(dockerfile, "cashier_lamp"))
