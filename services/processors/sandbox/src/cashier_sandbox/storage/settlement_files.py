"""Settlement files on disk, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


class SettlementFiles:
    """A folder per account; a crash halfway leaves a `.part` file that nobody reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, account: str, name: str, content: bytes) -> None:
        """Put a file in place of what is there under that name."""
        folder = self._folder / account
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{name}.part"
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / name)

    def read(self, account: str, name: str) -> bytes:
        """Return a file that `write` made; FileNotFoundError if somebody took it away."""
        return (self._folder / account / name).read_bytes()
