"""Keeps a foreign program to loopback and to its own folder; Python runs this before the program.

Put this folder on PYTHONPATH and set TMPDIR. localstripe listens on every interface and keeps its
data in one world-known file in /tmp, where two users, or two meshes, would overwrite each other.
"""

# ruff: noqa: ANN401, INP001, PTH118 - wraps functions of any shape, for a program of any shape

import builtins
import io
import os
import socket
from typing import Any

_bind, _open = socket.socket.bind, builtins.open
# A socket of both families, bound to this, takes IPv4 connections to 127.0.0.1 and no others.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::ffff:127.0.0.1"}  # noqa: S104
SHARED = "/tmp/"  # noqa: S108


class _WholeOrNothing(io.FileIO):
    """Replaces a file when it is closed: a killed program must find its data again."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}.new", "w")
        self._path = path

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.replace(f"{self._path}.new", self._path)  # noqa: PTH105


def _bind_to_loopback(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and address[0] in LOOPBACK:
        address = (LOOPBACK[address[0]], *address[1:])
    _bind(self, address)


def _open_in_own_folder(file: Any, *arguments: Any, **options: Any) -> Any:
    if isinstance(file, str) and file.startswith(SHARED):
        file = os.path.join(os.environ["TMPDIR"], file.removeprefix(SHARED))
        if "wb" in arguments:
            return io.BufferedWriter(_WholeOrNothing(file))
    return _open(file, *arguments, **options)


socket.socket.bind = _bind_to_loopback  # type: ignore[method-assign, assignment]
builtins.open = _open_in_own_folder
