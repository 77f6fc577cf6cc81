"""Runs PostgreSQL from its wheel: over TCP on loopback, with passwords, as root or anybody else."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cashier_mesh.accounts import place_for, shared_folder, unprivileged
from cashier_mesh.databases import Server, ServiceDatabase, url_for
from cashier_mesh.errors import MeshError
from cashier_mesh.ports import LOOPBACK, Claim, free_port, require_free
from cashier_mesh.postgres_programs import programs_for
from cashier_mesh.private_files import secret, write_private
from cashier_mesh.processes import Command, Process, describe_exit, run, spawn

SUPERUSER = "postgres"
INITDB_TIMEOUT_S = 120.0  # half a second on a quiet machine
START_TIMEOUT_S = 60.0  # crash recovery of a demo's data takes well under a second
ORPHANS_TIMEOUT_S = 10.0  # backends of a killed postmaster notice its death and leave
CONNECTIONS_MAX = 400  # ten processes with pools of 16, twice, and room for tests and people
STOP_STEPS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 6.0))  # fast, then immediate shutdown
READY_LINE = 7  # of postmaster.pid: starting, ready, stopping
NO_SYNC = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
STILL_IN_USE = "pre-existing shared memory block"


class EmbeddedPostgres:
    """One server and its data; `start` after `stop`, `kill` or a crash goes on with the data.

    As root the server runs as `postgres` or `nobody`. Where that account cannot reach `data_dir`,
    `home` is a lasting stand-in for it below /var/tmp. `port=0` picks a free one at each start.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.name = "postgres"
        self.account = unprivileged()
        self.home = place_for(data_dir.absolute(), self.account)
        self.port = port
        self.log = log or self.home / "postgres.log"
        self.process: Process | None = None
        self._wanted_port = port
        self._settings = _settings(fsync=fsync) | dict(settings or {})
        self._sync = fsync

    @property
    def admin_url(self) -> str:
        """The superuser's URL; the password in it is of this data directory alone."""
        password = secret(self._superuser_file)
        return url_for(f"postgresql://{LOOPBACK}:{self.port}", SUPERUSER, password, SUPERUSER)

    def start(self) -> Self:
        """Make the data directory if there is none, start, and wait until connections are taken."""
        programs = programs_for(self.account)
        if not (self._pgdata / "PG_VERSION").exists():
            self._initialize(programs)
        self._adopt_data()
        self._refuse_second_server()
        self.port = self._wanted_port or free_port()
        require_free([Claim(self.port, "PostgreSQL", "--base-port (base + 40)")])
        deadline = time.monotonic() + ORPHANS_TIMEOUT_S
        while not self._started(programs):
            if time.monotonic() > deadline:
                raise self._process.failed("processes of an earlier server still use its data")
            time.sleep(0.1)
        self.server().close_to_strangers()
        return self

    def stop(self) -> None:
        """Shut down cleanly; open connections end."""
        if self.process:
            self.process.stop(STOP_STEPS)

    def kill(self) -> None:
        """End the postmaster as a crash would (SIGKILL) and wait until it is gone."""
        if self.process:
            self.process.kill()

    def running(self) -> bool:
        """Tell whether the postmaster is alive."""
        return self.process is not None and self.process.running()

    def server(self) -> Server:
        """Return the administration of the running server."""
        return Server(self.admin_url, self.home / "roles")

    def provision(self, service: str, instance: str = "") -> ServiceDatabase:
        """Create a service's database and roles where missing; see `databases.Server`."""
        return self.server().provision(service, instance)

    def clone(self, service: str, instance: str, source: str = "") -> ServiceDatabase:
        """Copy a service's database; see `databases.Server`."""
        return self.server().clone(service, instance, source)

    def drop(self, service: str, instance: str) -> None:
        """Remove a further database of a service."""
        self.server().drop(service, instance)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _pgdata(self) -> Path:
        return self.home / "pgdata"

    @property
    def _superuser_file(self) -> Path:
        return self.home / "superuser.password"

    @property
    def _process(self) -> Process:
        if self.process is None:
            raise MeshError("PostgreSQL has not been started: call start() first")
        return self.process

    def _initialize(self, programs: Path) -> None:
        """Make `pgdata` in one step: a crash halfway leaves only a draft, removed next time."""
        draft, password_file = self.home / "pgdata.new", self.home / "initdb.password"
        self.home.mkdir(parents=True, exist_ok=True)
        if self.account:
            self.home.chmod(0o711)  # its account must get through to pgdata
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private(password_file, secret(self._superuser_file).encode())
        if self.account:
            os.chown(draft, self.account.uid, self.account.gid)
            os.chown(password_file, self.account.uid, self.account.gid)
        argv: list[str | Path] = [programs / "initdb", "-D", draft, "-U", SUPERUSER]
        argv += [f"--pwfile={password_file}"]
        argv += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # the same on any system
        argv += [] if self._sync else ["--no-sync"]
        try:
            run(self._command("PostgreSQL's initdb", argv), INITDB_TIMEOUT_S)
        finally:
            password_file.unlink()
        draft.rename(self._pgdata)

    def _adopt_data(self) -> None:
        """Give the data to the account we run as: it may come from a run as another user."""
        if not self._superuser_file.exists():
            raise MeshError(
                f"{self._superuser_file} is gone, so nobody can administer the data beside it: put "
                f"it back, or remove {self.home} to start with empty databases"
            )
        owner = self.account.uid if self.account else os.geteuid()
        if self._pgdata.stat().st_uid == owner:
            return
        if self.account is None:
            raise MeshError(
                f"{self._pgdata} belongs to another user: choose another folder with --data-dir, "
                "or let root hand it over with chown -R"
            )
        for path in (self._pgdata, *self._pgdata.rglob("*")):
            os.lchown(path, self.account.uid, self.account.gid)

    def _refuse_second_server(self) -> None:
        """Remove a lock that a killed server left; PostgreSQL may mistake a reused pid for it."""
        lock = self._pgdata / "postmaster.pid"
        if not lock.exists():
            return
        pid = int(lock.read_text().split("\n", 1)[0])
        deadline = time.monotonic() + ORPHANS_TIMEOUT_S
        while _serves(pid, self._pgdata) and time.monotonic() < deadline:
            time.sleep(0.05)  # it may be the one of a killed mesh, on its way out
        if _serves(pid, self._pgdata):
            raise MeshError(
                f"another PostgreSQL (process {pid}) runs on {self._pgdata}: stop the mesh that "
                "it belongs to with `python -m cashier_mesh down`, or choose another --data-dir"
            )
        lock.unlink(missing_ok=True)

    def _started(self, programs: Path) -> bool:
        """Start once; return False if processes of a killed server are still about to leave."""
        options = {"port": str(self.port), **self._settings}
        argv: list[str | Path] = [programs / "postgres", "-D", self._pgdata]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        earlier = self.log.stat().st_size if self.log.exists() else 0
        self.process = process = spawn(self._command("PostgreSQL", argv))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready(process.pid):
            code = process.exit_code()
            if code is not None:
                if STILL_IN_USE in self.log.read_text(errors="replace")[earlier:]:
                    return False
                raise process.failed(f"it ended with {describe_exit(code)}")
            if time.monotonic() > deadline:
                process.stop(STOP_STEPS)
                raise process.failed(f"it took no connections within {START_TIMEOUT_S:g} s")
            time.sleep(0.01)
        return True

    def _ready(self, pid: int) -> bool:
        try:
            lines = (self._pgdata / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        mine = lines[0] == str(pid)
        return mine and len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready"

    def _command(self, name: str, argv: list[str | Path]) -> Command:
        return Command(
            name=name,
            argv=argv,
            # Not the caller's PG* variables, which initdb and the server would obey.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            log=self.log,
            account=self.account,
            death_signal=signal.SIGINT,
        )


@contextmanager
def temporary_postgres(*, fsync: bool = False) -> Iterator[EmbeddedPostgres]:
    """Run a server for tests on a free port, and remove its data afterwards."""
    parent = shared_folder(unprivileged())
    home = Path(tempfile.mkdtemp(prefix="test-postgres-", dir=parent))
    server = EmbeddedPostgres(home, fsync=fsync)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _serves(pid: int, pgdata: Path) -> bool:
    """Tell whether a process is a PostgreSQL on this data: its working directory says so."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == pgdata.resolve()
    except OSError:
        return False


def _settings(*, fsync: bool) -> dict[str, str]:
    return {
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": str(CONNECTIONS_MAX),
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",  # compiling costs more than our statements take
        **({} if fsync else NO_SYNC),
    }
