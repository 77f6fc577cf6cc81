"""Asks the machine for free ports, and says whose setting to change when one is taken."""

import errno
import random
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from cashier_mesh.errors import MeshError, PortTaken

LOOPBACK = "127.0.0.1"
# Below 32768, where Linux starts to hand out ports for outgoing connections by itself.
BLOCK_FIRST_PORT, BLOCK_LAST_PORT = 20_000, 31_900
BLOCK_TRIES_MAX = 200


@dataclass(frozen=True)
class Claim:
    """A port that one part of the mesh will listen on, and the setting that moves it."""

    port: int
    part: str
    setting: str


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do: connections of an earlier run that still linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def require_free(claims: Iterable[Claim], patience_s: float = 0.0) -> None:
    """Raise PortTaken for the first claim whose port is in use, and stays so for the patience."""
    deadline = time.monotonic() + patience_s
    for claim in claims:
        while not is_free(claim.port):
            if time.monotonic() >= deadline:
                raise PortTaken(port=claim.port, part=claim.part, setting=claim.setting)
            time.sleep(0.05)


def free_base_port(offsets: Iterable[int]) -> int:
    """Return a base port in 20000-31900 for which `base + offset` is free for every offset."""
    wanted = tuple(offsets)
    for _ in range(BLOCK_TRIES_MAX):
        base = random.randrange(BLOCK_FIRST_PORT, BLOCK_LAST_PORT, 100)  # noqa: S311
        if all(is_free(base + offset) for offset in wanted):
            return base
    raise MeshError(f"no free block of {len(wanted)} ports: close some programs that listen")
