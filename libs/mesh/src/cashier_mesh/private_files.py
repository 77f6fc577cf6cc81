"""Writes files that only their owner can read, whole or not at all."""

import os
import secrets
from pathlib import Path

SECRET_BYTES = 24  # 192 bits; 32 characters that need no quoting in a URL or in SQL


def write_private(path: Path, content: bytes) -> None:
    """Write a 0600 file in one step: a crash leaves the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def secret(path: Path) -> str:
    """Return the password kept in a file; make one at the first call."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = secrets.token_urlsafe(SECRET_BYTES)
        write_private(path, made.encode())
        return made
