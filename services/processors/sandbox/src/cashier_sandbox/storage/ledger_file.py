"""The ledger on disk: one JSON object per line, appended and never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from cashier_sandbox.domain.entry import Entry, entry_from

_log = structlog.get_logger()


class LedgerDamaged(Exception):
    """The file holds a line that is no entry, and not because of a crash at its end."""


class LedgerFile:
    """An append-only file; `append` returns after the bytes are with the operating system.

    With `fsync` it returns after they are on the disk. A crash halfway leaves a torn last line,
    which the next `read` cuts off: its answer was never sent.
    """

    def __init__(self, path: Path, *, fsync: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._fsync = path, fsync
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def read(self) -> list[Entry]:
        """Return all entries; LedgerDamaged where a line other than a torn last one is not one."""
        content = self._path.read_bytes()
        *lines, torn = content.split(b"\n")
        if torn:
            os.ftruncate(self._file, len(content) - len(torn))
            _log.warning("ledger.torn_line_cut", path=str(self._path), bytes=len(torn))
        return [self._entry(line, number) for number, line in enumerate(lines, start=1)]

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one entry; OSError means that nothing was added."""
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        end = os.fstat(self._file).st_size
        try:
            _write_whole(self._file, line)
            if self._fsync:
                os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, end)
            raise

    def clear(self) -> None:
        """Forget everything."""
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Give the file back; it is on the disk then."""
        os.fsync(self._file)
        os.close(self._file)

    def _entry(self, line: bytes, number: int) -> Entry:
        try:
            entry = entry_from(orjson.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise LedgerDamaged(
                f"line {number} of {self._path} is not a ledger entry ({error}); "
                "move the file away to start with an empty ledger"
            ) from error
        if entry.seq != number:
            raise LedgerDamaged(
                f"line {number} of {self._path} has seq {entry.seq}: lines are missing or doubled; "
                "move the file away to start with an empty ledger"
            )
        return entry


def _write_whole(file: int, line: bytes) -> None:
    if os.write(file, line) != len(line):
        raise OSError("the disk took only a part of a ledger line")
