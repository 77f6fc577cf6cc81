"""Says with which environment variables each process of a service starts."""

import os
from collections.abc import Mapping
from pathlib import Path

from cashier_mesh import config as ports
from cashier_mesh.certificates import DevelopmentAuthority
from cashier_mesh.config import SERVICES, MeshConfig, rebased
from cashier_mesh.errors import MeshError
from cashier_mesh.ports import LOOPBACK
from cashier_mesh.stores import Stores
from cashier_mesh.unit import Seat

PREFIX = "CASHIER_"
ACCOUNTS_FILE = "accounts.dev.yaml"
# What this process was told for itself; a service gets its own or none.
OURS = (
    *("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "LISTEN", "PLAINTEXT", "ACCESS_POLICY"),
    *("TLS_CERTIFICATE", "TLS_PRIVATE_KEY", "TLS_AUTHORITY", "ENVIRONMENT", "TRACE_FILE"),
)


class Environment:
    """Environments of all processes; extras may change between two starts of a process."""

    def __init__(
        self, config: MeshConfig, stores: Stores, authority: DevelopmentAuthority, policy: Path
    ) -> None:
        self._config = config
        self._stores = stores
        self._authority = authority
        self._policy = policy
        self._extra = {key: dict(env) for key, env in config.extra_env.items()}
        self._accounts: Path | None = None

    def of(self, seat: Seat) -> dict[str, str]:
        """Return every variable of one process; only `migrate` learns the owner's password."""
        credentials = self._authority.service(seat.service)
        database = self._stores.database(seat.service)
        own = {
            "ENVIRONMENT": "development",
            "TLS_CERTIFICATE": str(credentials.certificate),
            "TLS_PRIVATE_KEY": str(credentials.private_key),
            "TLS_AUTHORITY": str(credentials.authority),
            "ACCESS_POLICY": str(self._policy),
            "REDIS_URL": self._stores.redis_url,
            **self._of_service(seat),
        }
        if seat.role == "migrate":
            own["DATABASE_OWNER_URL"] = database.owner_url
        else:
            own["DATABASE_URL"] = database.app_url
        service = next(service for service in SERVICES if service.name == seat.service)
        own["LISTEN"] = (
            self._config.address(service.offset, seat.replica)
            if seat.role == "serve"
            else f"{LOOPBACK}:0"
        )
        if self._config.traces:
            own["TRACE_FILE"] = str(self._config.data_dir / "traces" / f"{seat.name}.jsonl")
            own["TRACE_SAMPLE_RATIO"] = "1"
        return {
            **_inherited(),
            "PYTHONUNBUFFERED": "1",  # a killed process must not take its last lines with it
            **{PREFIX + name: value for name, value in own.items()},
            **self._extra.get(seat.service, {}),
            **self._extra.get(f"{seat.service}/{seat.role}", {}),
        }

    def set_extra(self, service: str, env: Mapping[str, str], role: str | None) -> None:
        """Replace the extra variables of a service, or of one of its roles."""
        self._extra[f"{service}/{role}" if role else service] = dict(env)

    def _of_service(self, seat: Seat) -> dict[str, str]:
        name = seat.service
        words = {service.name: self._config.target(service) for service in SERVICES}
        words["chain"] = f"http://{self._config.address(ports.CHAIN)}" if self._config.chain else ""
        words["sandbox"] = f"http://{self._config.address(ports.SANDBOX)}"
        if name == "gateway":
            words["accounts"] = str(self.processor_accounts())
            hears = seat.role == "serve"
            words["webhooks"] = self._config.address(ports.WEBHOOKS, seat.replica) if hears else ""
        template = next(service.settings for service in SERVICES if service.name == name)
        return {key: value.format(**words) for key, value in template.items()}

    def processor_accounts(self) -> Path:
        """The gateway's accounts file, with this mesh's ports."""
        if self._accounts is None:
            home = self._config.project_dir / "services" / "processors" / "gateway"
            found = sorted(home.rglob(ACCOUNTS_FILE))
            if not found:
                raise MeshError(f"there is no {ACCOUNTS_FILE} below {home}: the checkout is broken")
            target = self._config.data_dir / "gateway" / ACCOUNTS_FILE
            self._accounts = rebased(found[0], target, self._config.base_port)
        return self._accounts


def _inherited() -> dict[str, str]:
    ours = {PREFIX + name for name in OURS}
    return {key: value for key, value in os.environ.items() if key not in ours}
