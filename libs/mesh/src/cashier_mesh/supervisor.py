"""Runs the whole mesh: what `up`, the demo and the end-to-end tests start, harm and stop."""

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from cashier_mesh import peers
from cashier_mesh.certificates import Credentials, DevelopmentAuthority
from cashier_mesh.config import CLIENTS, ROLES, MeshConfig
from cashier_mesh.environment import Environment
from cashier_mesh.errors import BinaryMissing, MeshError
from cashier_mesh.policy import write_policy
from cashier_mesh.ports import require_free
from cashier_mesh.residence import Residence
from cashier_mesh.stores import Stores
from cashier_mesh.unit import Seat, Unit
from cashier_mesh.watch import Part, Watch
from cashier_mesh.webhooks import register_webhooks

LINGER_S = 15.0  # servers of a killed mesh may need this to let go of their ports
MIGRATIONS_AT_ONCE = 2  # each keeps a core busy with imports
P = TypeVar("P")


class Mesh:
    """Every process of Cashier on this machine, as long as this object's process lives.

    `start` raises MeshError with one sentence on what is the trouble, and leaves nothing running.
    It may be called from any thread. `tell` gets sentences for a person.
    """

    def __init__(self, config: MeshConfig, tell: Callable[[str], None] = lambda _: None) -> None:
        self.config = config
        self.logs = config.data_dir / "logs"
        self.traces = config.data_dir / "traces"
        self.stores = Stores(config, self.logs)
        self.peers: dict[str, peers.Peer] = {}
        self.units: list[Unit] = []
        self._tell = tell
        self._residence = Residence(config.data_dir)
        self._parts: list[Part] = []  # in the order in which they started
        self._watch: Watch | None = None
        self._cancelled = threading.Event()
        self._authority: DevelopmentAuthority | None = None
        self._environment: Environment | None = None

    @property
    def targets(self) -> dict[str, str]:
        """Where each service is: `host:port`, or several with commas between them."""
        return {service.name: self.config.target(service) for service in self.config.chosen()}

    @property
    def running(self) -> bool:
        """Tell whether every part is alive."""
        return bool(self._parts) and all(part.running() for part in self._parts)

    def start(self) -> Self:
        """Start everything and wait until all servers are ready; go on with the data of before."""
        unclean = self._residence.enter()
        try:
            require_free(self.config.claims(), patience_s=LINGER_S if unclean else 0.0)
            self._prepare()
            self._start_stores_and_peers()
            self._start_services()
        except BaseException:
            self.stop()
            raise
        self._watch = Watch(self._parts, self._tell, restart=self.config.restart_crashed)
        self._watch.begin()
        self._residence.announce({"targets": self.targets, "peers": self.peer_urls})
        return self

    def stop(self) -> None:
        """End everything in the reverse order of the start; safe to repeat."""
        if self._watch:
            self._watch.end()
            self._watch = None
        while self._parts:
            self._stop_last()
        self.units.clear()
        self._residence.leave()

    def cancel(self) -> None:
        """Make a `start` that runs in another thread, or is interrupted by a signal, give up."""
        self._cancelled.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def peer_urls(self) -> dict[str, str]:
        """Base addresses of `sandbox` (control API), `localstripe` and `chain`, where they run."""
        return {name: peer.url for name, peer in self.peers.items()}

    def credentials(self, client: str) -> Credentials:
        """Return the certificate of a caller from outside: checkout, demo or operator."""
        if client not in CLIENTS:
            raise MeshError(f"there is no client {client!r}: choose from {', '.join(CLIENTS)}")
        return self._need_authority().client(client)

    def service_env(self, service: str, role: str = "serve", replica: int = 1) -> dict[str, str]:
        """Return the whole environment that a process of a service starts with."""
        if self._environment is None:
            raise MeshError("the mesh has not been started: call start() first")
        return self._environment.of(Seat(service, role, replica))

    def set_env(self, service: str, env: Mapping[str, str], role: str | None = None) -> None:
        """Replace a service's extra environment (fail points, …) from its next start on."""
        if self._environment is None:
            raise MeshError("the mesh has not been started: call start() first")
        self._environment.set_extra(service, env, role)

    def unit(self, service: str, role: str = "serve", replica: int = 1) -> Unit:
        """Return one process of a service."""
        for unit in self.units:
            if unit.seat == Seat(service, role, replica):
                return unit
        known = ", ".join(unit.name for unit in self.units)
        raise MeshError(f"no process {Seat(service, role, replica).name} runs here: {known}")

    def kill(
        self,
        service: str,
        role: str = "serve",
        number: signal.Signals = signal.SIGKILL,
        replica: int = 1,
    ) -> None:
        """Send a signal; after SIGKILL the process is gone when this returns."""
        unit = self.unit(service, role, replica)
        if number == signal.SIGKILL:
            unit.kill()
        elif unit.process:
            unit.process.send(number)

    def restart(self, service: str, role: str = "serve", replica: int = 1) -> None:
        """Stop a process if it runs, start it with its present environment, wait until ready."""
        unit = self.unit(service, role, replica)
        self.stop_unit(unit)
        unit.start()
        unit.wait_ready()
        if self._watch:
            self._watch.resume(unit.name)

    def stop_unit(self, unit: Unit) -> None:
        """Stop one process for good, until `restart`."""
        if self._watch:
            self._watch.excuse(unit.name)
        unit.stop()

    def trace_file(self, service: str, role: str = "serve", replica: int = 1) -> Path:
        """Return where a process writes its spans when `config.traces` is on."""
        return self.traces / f"{Seat(service, role, replica).name}.jsonl"

    def _stop_last(self) -> None:
        """Stop the last part, and with it the other processes of the same service."""
        wave = [self._parts.pop()]
        while isinstance(wave[0], Unit) and self._parts and _same_service(wave[0], self._parts[-1]):
            wave.append(self._parts.pop())
        _all(wave, lambda part: part.stop(), len(wave))

    def _prepare(self) -> None:
        for folder in (self.logs, self.traces):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
        self._authority = DevelopmentAuthority(self.config.data_dir / "certs")
        policy = write_policy(self.config.data_dir / "certs" / "access-policy.yaml")
        for client in CLIENTS:
            self._authority.client(client)
        self._environment = Environment(self.config, self.stores, self._authority, policy)

    def _start_stores_and_peers(self) -> None:
        """Start them one after the other without waiting for peers: they are ready long before."""
        postgres = self.stores.postgres
        if postgres and not postgres.home.is_relative_to(self.config.data_dir.absolute()):
            self._tell(
                f"PostgreSQL keeps its data in {postgres.home}: its account cannot enter the "
                f"folders above {self.config.data_dir}"
            )
        for store in (postgres, self.stores.valkey):
            if store:
                self._parts.append(store)  # first, so that a failed start is cleaned up too
                store.start()
                self._give_up_if_cancelled()
        for wanted, make in (
            (self.config.sandbox, peers.sandbox),
            (self.config.localstripe, peers.localstripe),
            (self.config.chain, peers.chain),
        ):
            if wanted:
                self._start_peer(make)
        self.stores.provision()

    def _start_peer(self, make: Callable[[MeshConfig, Path], peers.Peer]) -> None:
        try:
            peer = make(self.config, self.logs)
        except BinaryMissing as missing:  # the mesh is of use without it
            self._tell(f"skipped: {missing}")
            return
        self.peers[peer.name] = peer
        self._parts.append(peer)
        peer.start()

    def _start_services(self) -> None:
        prober = self._need_authority().service("mesh")
        for service in self.config.chosen():
            for role in ROLES:
                for replica in range(1, self.config.replica_count(service.name) + 1):
                    unit = Unit(
                        Seat(service.name, role, replica),
                        target=self.config.address(service.offset, replica)
                        if role == "serve"
                        else None,
                        environment=self._need_environment().of,
                        logs=self.logs,
                        cwd=self.config.project_dir,
                        prober=prober,
                    )
                    self.units.append(unit)
        first = [unit for unit in self.units if unit.seat == Seat(unit.seat.service, "serve")]
        _all(first, lambda unit: unit.migrate(), MIGRATIONS_AT_ONCE)
        self._give_up_if_cancelled()
        for unit in self.units:
            self._parts.append(unit)
            unit.start()
        for peer in self.peers.values():
            peer.wait_ready(self._cancelled.is_set)
        if "sandbox" in self.peers and "gateway" in self.config.services:
            accounts = self._need_environment().processor_accounts()
            register_webhooks(self.config, self.peer_urls["sandbox"], accounts)
        for unit in self.units:
            unit.wait_ready(self._cancelled.is_set)
        self._give_up_if_cancelled()

    def _need_environment(self) -> Environment:
        if self._environment is None:
            raise MeshError("the mesh has not been started: call start() first")
        return self._environment

    def _need_authority(self) -> DevelopmentAuthority:
        if self._authority is None:
            raise MeshError("the mesh has not been started: call start() first")
        return self._authority

    def _give_up_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise MeshError("stopped before everything had started")


def _same_service(unit: Unit, part: Part) -> bool:
    return isinstance(part, Unit) and part.seat.service == unit.seat.service


def _all(parts: Sequence[P], act: Callable[[P], None], at_once: int) -> None:
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        for _ in pool.map(act, parts):
            pass
