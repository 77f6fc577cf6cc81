"""What the checks of this folder look at: the files that git tracks or would track."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = "protos/gen/cashier/"


def tracked(root: Path = ROOT) -> list[str]:
    """Every file of the repository as a path below `root`, what git ignores left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return sorted({name for name in listed.stdout.split("\0") if name and (root / name).is_file()})


def sources(root: Path = ROOT) -> list[str]:
    """Every hand-written Python file that ships."""
    return [
        name
        for name in tracked(root)
        if name.endswith(".py") and "/src/" in name and not name.startswith(GENERATED)
    ]
