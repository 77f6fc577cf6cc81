"""Starts what the services talk to outside Cashier: the sandbox, localstripe and a chain."""

import os
import platform
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cashier_mesh import config as ports
from cashier_mesh.config import MeshConfig, rebased
from cashier_mesh.errors import BinaryMissing
from cashier_mesh.health import http_trouble, wait_ready
from cashier_mesh.processes import Command, Process, spawn

CHAIN_ID = 31337
STOP_GRACE_S = 10.0
CONFINEMENT = Path(__file__).with_name("confinement")
MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Peer:
    """One program that services call over HTTP on loopback."""

    def __init__(self, command: Command, address: str, probe: tuple[str, str | None]) -> None:
        self.name = command.name
        self.address = address
        self.url = f"http://{address}"
        self.process: Process | None = None
        self._command = command
        self._probe = probe

    def start(self) -> "Peer":
        """Start it without waiting for it."""
        self.process = spawn(self._command)
        return self

    def wait_ready(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until it answers; StartFailed if it does not."""
        if self.process:
            path, body = self._probe
            wait_ready(self.process, lambda: http_trouble(self.address, path, body), stop)

    def stop(self) -> None:
        if self.process:
            self.process.stop(((signal.SIGTERM, STOP_GRACE_S),))

    def kill(self) -> None:
        if self.process:
            self.process.kill()

    def running(self) -> bool:
        return self.process is not None and self.process.running()


def sandbox(config: MeshConfig, logs: Path) -> Peer:
    """Return the imitation processors: control API on base + 10, accounts from base + 11."""
    address = config.address(ports.SANDBOX)
    home = config.data_dir / "sandbox"
    shipped = config.project_dir / "services/processors/sandbox/src/cashier_sandbox/accounts.yaml"
    accounts = rebased(shipped, home / "accounts.yaml", config.base_port)
    command = Command(
        name="sandbox",
        argv=[sys.executable, "-m", "cashier_sandbox", "serve"],
        env=_environment(
            {
                "CASHIER_SANDBOX_DATA_DIR": str(home),
                "CASHIER_SANDBOX_CONTROL_PORT": str(config.port(ports.SANDBOX)),
                "CASHIER_SANDBOX_ACCOUNTS": str(accounts),
            }
        ),
        log=logs / "sandbox.log",
        cwd=config.project_dir,
        death_signal=signal.SIGTERM,
    )
    return Peer(command, address, ("/health", None))


def localstripe(config: MeshConfig, logs: Path) -> Peer:
    """Return a Stripe that we did not write, in an environment and a folder of its own."""
    program = config.project_dir / ".tools" / "localstripe" / "bin" / "python"
    if not program.exists():
        raise BinaryMissing(
            part="localstripe",
            wanted=str(program),
            way_out="run `make setup`, or leave it out with --no-localstripe",
        )
    address = config.address(ports.LOCALSTRIPE)
    folder = config.data_dir / "localstripe"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = Command(
        name="localstripe",
        argv=[program, "-m", "localstripe", "--port", str(config.port(ports.LOCALSTRIPE))],
        env=_environment({"TMPDIR": str(folder), "PYTHONPATH": str(CONFINEMENT)}),
        log=logs / "localstripe.log",
        cwd=folder,
    )
    return Peer(command, address, ("/", None))


def chain(config: MeshConfig, logs: Path) -> Peer:
    """Return a local EVM chain that keeps its blocks between runs."""
    program = _anvil(config.project_dir)
    if program is None:
        raise BinaryMissing(
            part="the chain",
            wanted=f"anvil below {config.project_dir / '.tools' / 'chain'}",
            way_out="run `make setup`, or leave it out with --no-chain",
        )
    address = config.address(ports.CHAIN)
    folder = config.data_dir / "chain"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    host, port = address.split(":")
    command = Command(
        name="chain",
        argv=[
            *(program, "--silent", "--host", host, "--port", port, "--chain-id", str(CHAIN_ID)),
            *("--slots-in-an-epoch", "4"),  # so that `safe` and `finalized` move
            *("--state", folder / "state.json", "--state-interval", "5"),
        ],
        env=_environment({"HOME": str(folder)}),
        log=logs / "chain.log",
        cwd=folder,
        death_signal=signal.SIGTERM,
    )
    body = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
    return Peer(command, address, ("/", body))


def _anvil(project_dir: Path) -> Path | None:
    machine = MACHINES.get(platform.machine().lower(), "")
    package = f"@foundry-rs/anvil-{platform.system().lower()}-{machine}"
    program = project_dir / ".tools" / "chain" / "node_modules" / package / "bin" / "anvil"
    return program if program.exists() else None


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("CASHIER_")}
    return inherited | {"PYTHONUNBUFFERED": "1"} | dict(own)
