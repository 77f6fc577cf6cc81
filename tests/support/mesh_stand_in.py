"""A small mesh for the supervisor's own tests: real servers and a stand-in for the services."""

import contextlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from cashier_mesh.accounts import shared_folder, unprivileged
from cashier_mesh.config import MeshConfig

GONE_WITHIN_S = 15.0
# Speaks mTLS, health and nothing else; FAKE_END makes it end as a faulty service would.
STAND_IN = """
import os, signal, sys, threading
from concurrent import futures
from pathlib import Path
env = os.environ
role = sys.argv[1]
print(f"{{\\"event\\": \\"{role} begins\\", \\"secretless\\": true}}")
if role == "migrate":
    assert "CASHIER_DATABASE_OWNER_URL" in env and "CASHIER_DATABASE_URL" not in env
    sys.exit(int(env.get("FAKE_MIGRATE_CODE", "0")))
assert "CASHIER_DATABASE_OWNER_URL" not in env
if env.get("FAKE_END"):
    sys.exit(env["FAKE_END"])
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
if role == "serve":
    import grpc
    from grpc_health.v1 import health, health_pb2_grpc
    server = grpc.server(futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    read = lambda name: Path(env["CASHIER_TLS_" + name]).read_bytes()
    tls = grpc.ssl_server_credentials(
        [(read("PRIVATE_KEY"), read("CERTIFICATE"))], read("AUTHORITY"), require_client_auth=True
    )
    server.add_secure_port(env["CASHIER_LISTEN"], tls)
    server.start()
stop.wait()
print(f"{role} ends")
"""


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's account can reach, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="test-", dir=shared_folder(unprivileged())))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made)


def small_mesh(folder: Path, **wishes: Any) -> MeshConfig:
    """Risk alone, played by the stand-in; no peers; restarts are the test's own affair."""
    package = folder / "stand_in" / "cashier_risk"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    path = {"PYTHONPATH": str(folder / "stand_in")}
    defaults: dict[str, Any] = {
        "data_dir": folder / "data",
        "base_port": 0,
        "services": ("risk",),
        "sandbox": False,
        "chain": False,
        "localstripe": False,
        "fsync": False,
        "restart_crashed": False,
        "extra_env": {"risk": path | wishes.pop("env", {})},
    }
    return MeshConfig(**(defaults | wishes))


def wait_until(condition: Callable[[], Any], within_s: float = GONE_WITHIN_S) -> None:
    """Wait for something that other processes bring about."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process still does anything: a zombie waits for whoever inherited it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def descendants(pid: int, but: Collection[int] = ()) -> list[int]:
    """All processes below one, without those in `but` and all that is below them."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            child = int(status.parent.name)
            if int(fields[1]) == pid and child not in but:
                found += [child, *descendants(child, but)]
    return found


def listens(port: int) -> bool:
    """Whether somebody takes connections on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
