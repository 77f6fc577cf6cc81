"""Keeps two meshes out of one data folder, and lets `down` and `status` find the one inside."""

import fcntl
import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from cashier_mesh.errors import MeshError

DOWN_TIMEOUT_S = 90.0
POLL_S = 0.1


@dataclass
class Residence:
    """A lock that the kernel releases with the process, and a file that says who is inside."""

    folder: Path
    _lock: IO[str] | None = field(default=None, repr=False)

    def enter(self) -> bool:
        """Take the folder; return whether an earlier mesh left it without cleaning up.

        Raises MeshError when another mesh is inside.
        """
        _make_folder(self.folder)
        lock = self._open()
        if lock is None:
            raise MeshError(
                f"a mesh (process {self.occupant().get('pid', 'unknown')}) already uses "
                f"{self.folder}: stop it with `python -m cashier_mesh down`, or choose another "
                "folder with --data-dir"
            )
        self._lock = lock
        unclean = bool(lock.read().strip())
        self.announce({})
        return unclean

    def announce(self, facts: dict[str, Any]) -> None:
        """Write down what others may want to know, such as the addresses."""
        if self._lock:
            self._lock.seek(0)
            self._lock.truncate()
            json.dump({"pid": os.getpid(), **facts}, self._lock, indent=1)
            self._lock.flush()

    def leave(self) -> None:
        """Give the folder back."""
        lock, self._lock = self._lock, None
        if lock:
            lock.truncate(0)
            lock.close()

    def occupant(self) -> dict[str, Any]:
        """Return what the mesh inside announced, or nothing if the folder is empty."""
        lock = self._open() if self._path.exists() else None
        if lock is not None or not self._path.exists():
            if lock:
                lock.close()
            return {}
        text = self._path.read_text()
        found: dict[str, Any] = json.loads(text) if text.strip() else {"pid": None}
        return found

    def ask_to_leave(self) -> bool:
        """Stop the mesh inside and wait; return False if there was none."""
        pid = self.occupant().get("pid")
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + DOWN_TIMEOUT_S
        while self.occupant().get("pid") == pid:
            if time.monotonic() > deadline:
                raise MeshError(f"the mesh (process {pid}) did not stop in {DOWN_TIMEOUT_S:g} s")
            time.sleep(POLL_S)
        return True

    @property
    def _path(self) -> Path:
        return self.folder / "mesh.lock"

    def _open(self) -> IO[str] | None:
        lock = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        lock.seek(0)
        return lock


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"  # passwords and keys must not reach a commit
        if not ignore.exists():
            ignore.write_text("*\n")
    except PermissionError as error:
        raise MeshError(
            f"{folder} cannot be written ({error.strerror}): another user may have made it; choose "
            "another folder with --data-dir"
        ) from error
