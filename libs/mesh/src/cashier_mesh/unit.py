"""One process of one service: `python -m cashier_router serve`, replica 2."""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from cashier_mesh.certificates import Credentials
from cashier_mesh.errors import MeshError
from cashier_mesh.health import channel_to, grpc_trouble, wait_ready
from cashier_mesh.processes import Command, Process, run, spawn

STOP_GRACE_S = 15.0  # a server drains its calls (10 s) before it leaves
MIGRATE_TIMEOUT_S = 120.0
WORKER_SETTLE_S = 0.5  # a worker that cannot work ends at once; there is nothing to ask it


@dataclass(frozen=True)
class Seat:
    """Which process of which service; the first replica goes without a number in its name."""

    service: str
    role: str
    replica: int = 1

    @property
    def name(self) -> str:
        role = "" if self.role == "serve" else f"-{self.role}"
        number = "" if self.replica == 1 else f"-{self.replica}"
        return f"{self.service}{role}{number}"


class Unit:
    """Starts, watches over and ends one process; its environment is asked for at each start."""

    def __init__(
        self,
        seat: Seat,
        *,
        target: str | None,
        environment: Callable[[Seat], dict[str, str]],
        logs: Path,
        cwd: Path,
        prober: Credentials,
    ) -> None:
        self.seat = seat
        self.name = seat.name
        self.process: Process | None = None
        self._target = target
        self._environment = environment
        self._logs = logs
        self._cwd = cwd
        self._prober = prober
        self._channel: grpc.Channel | None = None
        self._started_at = 0.0

    def start(self) -> None:
        """Start it without waiting for it."""
        if self.running():
            raise MeshError(f"{self.name} runs already: stop it first")
        self.process = spawn(self._command(self.seat, self.name))
        self._started_at = time.monotonic()

    def migrate(self) -> None:
        """Bring the service's database to its newest form; StartFailed if that fails."""
        seat = Seat(self.seat.service, "migrate")
        run(self._command(seat, seat.name), MIGRATE_TIMEOUT_S)

    def wait_ready(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until a server serves, or a worker has lived for half a second."""
        if self.process:
            wait_ready(self.process, self._trouble, stop)

    def stop(self) -> None:
        """Ask it to finish (SIGTERM); after 15 s end it."""
        if self.process:
            self.process.stop(((signal.SIGTERM, STOP_GRACE_S),))
        self._hang_up()

    def kill(self) -> None:
        """End it as a crash would and wait until it is gone."""
        if self.process:
            self.process.kill()

    def running(self) -> bool:
        return self.process is not None and self.process.running()

    def _trouble(self) -> str | None:
        if self._target is None:
            settled = time.monotonic() - self._started_at > WORKER_SETTLE_S
            return None if settled else "it has only just started"
        if self._channel is None:
            self._channel = channel_to(self._target, self._prober)
        trouble = grpc_trouble(self._channel)
        if trouble is None:
            self._hang_up()
        return trouble

    def _hang_up(self) -> None:
        channel, self._channel = self._channel, None
        if channel:
            channel.close()

    def _command(self, seat: Seat, name: str) -> Command:
        return Command(
            name=name,
            argv=[sys.executable, "-m", f"cashier_{seat.service}", seat.role],
            env=self._environment(seat),
            log=self._logs / f"{name}.log",
            cwd=self._cwd,
        )
