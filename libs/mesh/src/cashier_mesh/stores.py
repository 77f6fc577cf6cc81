"""Starts PostgreSQL and Valkey, or uses the servers that the environment names instead."""

from pathlib import Path

from cashier_mesh import config as ports
from cashier_mesh.config import MeshConfig
from cashier_mesh.databases import Server, ServiceDatabase
from cashier_mesh.postgres import EmbeddedPostgres
from cashier_mesh.valkey import EmbeddedValkey


class Stores:
    """Truth and hints of one mesh; `postgres` and `valkey` are None where others run them."""

    def __init__(self, config: MeshConfig, logs: Path) -> None:
        self._config = config
        self._databases: dict[str, ServiceDatabase] = {}
        self.postgres: EmbeddedPostgres | None = None
        self.valkey: EmbeddedValkey | None = None
        if not config.database_url:
            self.postgres = EmbeddedPostgres(
                config.data_dir / "postgres",
                config.port(ports.POSTGRES),
                fsync=config.fsync,
                log=logs / "postgres.log",
            )
        if not config.redis_url:
            self.valkey = EmbeddedValkey(
                config.data_dir / "valkey", config.port(ports.VALKEY), log=logs / "valkey.log"
            )

    @property
    def redis_url(self) -> str:
        return self.valkey.url if self.valkey else self._config.redis_url

    def server(self) -> Server:
        """Return the administration of the database server."""
        if self.postgres:
            return self.postgres.server()
        return Server(self._config.database_url, self._config.data_dir / "roles")

    def provision(self) -> None:
        """Give every service its database; needs the servers to run."""
        server = self.server()
        for service in self._config.chosen():
            self._databases[service.name] = server.provision(service.name)

    def database(self, service: str) -> ServiceDatabase:
        """Return a service's database; the mesh must have been started."""
        return self._databases[service]
