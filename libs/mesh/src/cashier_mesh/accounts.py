"""Finds an account without privileges, and places on disk that it can reach.

PostgreSQL refuses to run as root, so root hands it to another account, which must be able to
enter every folder above the programs and the data: a home folder is often closed (0700).
"""

import hashlib
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cashier_mesh.errors import MeshError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


def unprivileged() -> Account | None:
    """Return whom to run a server as, or None where this process is not root anyway."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise MeshError(
        "PostgreSQL refuses to run as root and this machine has no account "
        f"{' or '.join(CANDIDATES)}: add one (useradd --system postgres) or run as another user"
    )


def reachable(path: Path, account: Account | None) -> bool:
    """Tell whether the account may enter every folder above `path` (which need not exist)."""
    return account is None or closed_folder(path, account) is None


def closed_folder(path: Path, account: Account) -> Path | None:
    """Return the topmost folder above `path` that the account may not enter."""
    for folder in reversed(path.resolve().parents):
        if folder.exists() and not _may_enter(folder.stat(), account):
            return folder
    return None


def place_for(wanted: Path, account: Account | None) -> Path:
    """Return `wanted`, or a lasting stand-in that the account can reach; the same on each call."""
    if reachable(wanted, account):
        return wanted
    key = hashlib.sha256(str(wanted.resolve()).encode()).hexdigest()[:12]
    return shared_folder(account) / f"{wanted.name}-{key}"


def shared_folder(account: Account | None) -> Path:
    """Return a folder of ours outside every home that `account` can enter and nobody else owns."""
    for root in (Path("/var/tmp"), Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108
        if root.is_dir() and os.access(root, os.W_OK | os.X_OK) and reachable(root / "x", account):
            return _own_folder(root / f"cashier-{os.geteuid()}")
    raise MeshError(
        f"no temporary folder can be entered by the account {account and account.name}: "
        "set TMPDIR to a folder with mode 0755"
    )


def _own_folder(folder: Path) -> Path:
    # The name can be guessed and the parent is open to all: accept only what is really ours.
    folder.mkdir(mode=0o755, exist_ok=True)
    status = folder.lstat()
    mine = status.st_uid == os.geteuid() and stat.S_ISDIR(status.st_mode)
    if not mine or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise MeshError(
            f"{folder} is not a folder that only this user can write to: remove it and start again"
        )
    folder.chmod(0o755)  # a strict umask would close it again
    return folder


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
