"""What the mesh consists of, which ports it uses, and what each service is told: one screenful."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cashier_mesh.errors import MeshError
from cashier_mesh.ports import LOOPBACK, Claim, free_base_port
from cashier_mesh.private_files import write_private

DEFAULT_PORT = re.compile(r"(?<=127\.0\.0\.1:)74\d\d\b|(?<=localhost:)74\d\d\b|(?<=port: )74\d\d\b")
PROJECT_DIR = Path(__file__).resolve().parents[4]
BASE_PORT = 7400
REPLICA_STEP = 100  # replica 2 of the router listens on 7501
REPLICAS_MAX = 9
WEBHOOKS = 6  # where the gateway hears processors; replica 2 on 7506
SANDBOX, SANDBOX_ACCOUNTS, LOCALSTRIPE, CHAIN, POSTGRES, VALKEY = 10, 11, 20, 30, 40, 50
SANDBOX_ACCOUNTS_MAX = 9
THREE_DS = 31  # of the sandbox too: its block is full
ROLES = ("serve", "work")
CLIENTS = ("checkout", "demo", "operator")


@dataclass(frozen=True)
class Service:
    """A deployable: its port is base + offset; `{router}` and so on become addresses."""

    name: str
    offset: int
    settings: Mapping[str, str] = field(default_factory=dict)


# In the order in which they start; they stop in the reverse order.
SERVICES = (
    Service("risk", 2),
    Service("gateway", 3, {"PROCESSOR_ACCOUNTS": "{accounts}", "WEBHOOK_LISTEN": "{webhooks}"}),
    Service("crypto", 4, {"CHAIN_URL": "{chain}", "RISK_TARGET": "{risk}"}),
    Service("router", 1, {"RISK_TARGET": "{risk}", "RAILS": "gateway={gateway},crypto={crypto}"}),
    Service("recon", 5, {"ROUTER_TARGET": "{router}"}),
)


def _named(variable: str) -> Callable[[], str]:
    return lambda: os.environ.get(variable, "")


@dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """How to run the mesh; `base_port=0` looks for a free block, as tests do.

    `extra_env` has keys `router` (all its processes) or `router/work` (one role). A server that
    the environment names (`database_url` of an administrator, `redis_url`) replaces an embedded
    one.
    """

    project_dir: Path = PROJECT_DIR
    data_dir: Path = PROJECT_DIR / ".cashier"
    base_port: int = BASE_PORT
    services: Sequence[str] = tuple(service.name for service in SERVICES)
    replicas: Mapping[str, int] = field(default_factory=dict)
    sandbox: bool = True
    chain: bool = True
    localstripe: bool = True
    fsync: bool = True
    restart_crashed: bool = True
    traces: bool = False
    extra_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    database_url: str = field(default_factory=_named("CASHIER_DATABASE_URL"), repr=False)
    redis_url: str = field(default_factory=_named("CASHIER_REDIS_URL"), repr=False)

    def __post_init__(self) -> None:
        known = [service.name for service in SERVICES]
        for name in (
            *self.services,
            *self.replicas,
            *(key.split("/")[0] for key in self.extra_env),
        ):
            if name not in known:
                raise MeshError(f"there is no service {name!r}: choose from {', '.join(known)}")
        for name, count in self.replicas.items():
            if not 1 <= count <= REPLICAS_MAX:
                raise MeshError(f"{name} has {count} replicas: choose 1 to {REPLICAS_MAX}")
        if self.base_port == 0:
            object.__setattr__(self, "base_port", free_base_port(self._offsets()))

    def chosen(self) -> list[Service]:
        """Return the services to run, in the order of their start."""
        return [service for service in SERVICES if service.name in self.services]

    def replica_count(self, service: str) -> int:
        return self.replicas.get(service, 1)

    def port(self, offset: int, replica: int = 1) -> int:
        return self.base_port + offset + REPLICA_STEP * (replica - 1)

    def address(self, offset: int, replica: int = 1) -> str:
        return f"{LOOPBACK}:{self.port(offset, replica)}"

    def target(self, service: Service) -> str:
        """Return all replicas of a service, as `host:port,host:port`."""
        count = self.replica_count(service.name)
        return ",".join(self.address(service.offset, replica + 1) for replica in range(count))

    def claims(self) -> Iterator[Claim]:
        """Return every port that the mesh will listen on."""
        for offset, part in self._parts():
            yield Claim(self.base_port + offset, part, f"--base-port (now {self.base_port})")

    def _offsets(self) -> list[int]:
        return [offset for offset, _ in self._parts()]

    def _parts(self) -> Iterator[tuple[int, str]]:
        for service in self.chosen():
            for replica in range(self.replica_count(service.name)):
                yield service.offset + REPLICA_STEP * replica, f"the {service.name} service"
                if service.name == "gateway":
                    yield WEBHOOKS + REPLICA_STEP * replica, "webhooks of the gateway"
        if self.sandbox:
            yield SANDBOX, "the sandbox"
            for account in range(SANDBOX_ACCOUNTS_MAX):
                yield SANDBOX_ACCOUNTS + account, "an account of the sandbox"
            yield THREE_DS, "the 3DS server of the sandbox"
        if self.localstripe:
            yield LOCALSTRIPE, "localstripe"
        if self.chain:
            yield CHAIN, "the chain"
        if not self.database_url:
            yield POSTGRES, "PostgreSQL"
        if not self.redis_url:
            yield VALKEY, "Valkey"


def rebased(source: Path, target: Path, base_port: int) -> Path:
    """Copy a development file written for base port 7400, with its ports moved to this base."""
    text = source.read_text(encoding="utf-8")
    moved = DEFAULT_PORT.sub(lambda port: str(base_port + int(port[0]) - BASE_PORT), text)
    write_private(target, moved.encode())
    return target
