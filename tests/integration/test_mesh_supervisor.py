"""The supervisor with real servers and a stand-in service: start, harm, stop, go on."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import grpc
import pytest
import redis

from cashier_mesh.accounts import shared_folder, unprivileged
from cashier_mesh.config import PROJECT_DIR, MeshConfig
from cashier_mesh.errors import MeshError, PortTaken, StartFailed
from cashier_mesh.health import channel_to, grpc_trouble
from cashier_mesh.ports import free_base_port
from cashier_mesh.supervisor import Mesh

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
GONE_WITHIN_S = 15.0


@pytest.fixture
def folder():
    """A folder that PostgreSQL's account can reach, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="test-", dir=shared_folder(unprivileged())))
    made.chmod(0o755)
    for name in ("risk", "gateway"):
        package = made / "stand_in" / f"cashier_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(STAND_IN)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def config(folder):
    def make(**wishes):
        path = {"PYTHONPATH": str(folder / "stand_in")}
        extra = {"risk": path} | {
            key: path | env for key, env in wishes.pop("extra_env", {}).items()
        }
        defaults = {
            "data_dir": folder / "data",
            "base_port": 0,
            "services": ("risk",),
            "sandbox": False,
            "chain": False,
            "localstripe": False,
            "fsync": False,
            "restart_crashed": False,
            "extra_env": extra,
        }
        return MeshConfig(**(defaults | wishes))

    return make


def wait_until(condition, within_s=GONE_WITHIN_S):
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return found


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # whoever inherits it has yet to ask for its exit code


def descendants(pid):
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                child = int(status.parent.name)
                found += [child, *descendants(child)]
    return found


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_starts_serves_and_leaves_nothing(config):
    mesh = Mesh(config(replicas={"risk": 2}, traces=True))

    with mesh:
        assert ["risk", "risk-2", "risk-work", "risk-work-2"] == [u.name for u in mesh.units]
        for target in mesh.targets["risk"].split(","):
            with channel_to(target, mesh.credentials("checkout")) as channel:
                assert grpc_trouble(channel) is None
        environment = mesh.service_env("risk", "work", 2)
        assert "cashier_risk_app" in environment["CASHIER_DATABASE_URL"]
        assert environment["CASHIER_TRACE_FILE"].endswith("traces/risk-work-2.jsonl")
        pids = descendants(os.getpid())

    assert not [pid for pid in pids if alive(pid)]
    assert "serve ends" in (mesh.logs / "risk.log").read_text()
    assert not mesh.running


def test_no_certificate_no_connection(config):
    with Mesh(config()) as mesh:
        authority = mesh.credentials("checkout").authority.read_bytes()
        anonymous = grpc.secure_channel(
            mesh.targets["risk"], grpc.ssl_channel_credentials(authority)
        )

        assert "UNAVAILABLE" in grpc_trouble(anonymous)

        anonymous.close()


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_one_goes_on(config, folder):
    wish = config(base_port=free_base_port([2, 20, 30, 40, 50]))
    words = ["--data-dir", str(wish.data_dir), "--base-port", str(wish.base_port)]
    up = [*("-m", "cashier_mesh", "up", "--services", "risk", "--no-sandbox"), *words]
    environment = os.environ | {"PYTHONPATH": str(folder / "stand_in")}
    output = (folder / "up.log").open("wb")
    supervisor = subprocess.Popen([sys.executable, *up], env=environment, stdout=output)
    wait_until(lambda: b"ready" in (folder / "up.log").read_bytes(), 60)
    ports = [wish.base_port + offset for offset in (2, 40, 50)]
    ports += [wish.base_port + 20] * (PROJECT_DIR / ".tools/localstripe/bin/python").exists()
    ports += [wish.base_port + 30] * (PROJECT_DIR / ".tools/chain/node_modules").exists()
    valkey = redis.Redis.from_url(
        f"redis://:{(wish.data_dir / 'valkey' / 'valkey.password').read_text()}@127.0.0.1:{ports[2]}"
    )
    valkey.set("key", "kept")
    time.sleep(1.2)  # appendfsync everysec
    pids = descendants(supervisor.pid)
    assert len(pids) >= len(ports)
    assert all(listens(port) for port in ports)

    supervisor.kill()
    supervisor.wait()

    wait_until(lambda: not [pid for pid in pids if alive(pid)])
    assert not [port for port in ports if listens(port)]
    output.close()
    with Mesh(wish) as mesh:
        assert b"kept" == redis.Redis.from_url(mesh.stores.redis_url).get("key")


def test_ctrl_c_stops_in_order_and_says_so(config, folder):
    wish = config(base_port=free_base_port([2, 40, 50]))
    words = ["--data-dir", str(wish.data_dir), "--base-port", str(wish.base_port)]
    without = ["--no-sandbox", "--no-chain", "--no-localstripe"]
    with (folder / "up.log").open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "cashier_mesh", "up", "--services", "risk", *without, *words],
            env=os.environ | {"PYTHONPATH": str(folder / "stand_in")},
            stdout=output,
        )
    wait_until(lambda: b"ready" in (folder / "up.log").read_bytes(), 60)
    pids = descendants(supervisor.pid)

    supervisor.send_signal(signal.SIGINT)

    assert 0 == supervisor.wait(30)
    assert not [pid for pid in pids if alive(pid)]
    shown = (folder / "up.log").read_text()
    assert re.search(r"risk +│ serve ends", shown)
    assert "shut down" in (wish.data_dir / "logs" / "postgres.log").read_text()


def test_a_taken_port_is_named_and_nothing_is_left(config):
    wish = config()
    with (
        socket.create_server(("127.0.0.1", wish.base_port + 2)),
        pytest.raises(PortTaken, match=f"port {wish.base_port + 2} for the risk service"),
    ):
        Mesh(wish).start()

    assert not listens(wish.base_port + 40)
    with Mesh(wish) as mesh:
        assert mesh.running


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ({"FAKE_MIGRATE_CODE": "3"}, r"risk-migrate did not start: it ended with exit code 3"),
        ({"FAKE_END": "no such table"}, r"(?s)risk did not start: .* exit code 1.*no such table"),
    ],
)
def test_a_service_that_cannot_start_says_why_and_nothing_is_left(config, trouble, sentence):
    mesh = Mesh(config(extra_env={"risk": trouble}))

    with pytest.raises(StartFailed, match=sentence):
        mesh.start()

    assert not listens(mesh.config.base_port + 40)
    assert not listens(mesh.config.base_port + 50)


def test_a_crashed_service_starts_again_when_wished(config):
    heard = []
    with Mesh(config(restart_crashed=True), tell=heard.append) as mesh:
        before = mesh.unit("risk").process.pid

        mesh.kill("risk")

        unit = mesh.unit("risk")
        wait_until(lambda: unit.running() and unit.process.pid != before)
        unit.wait_ready()
        assert ["risk ended with signal SIGKILL; it starts again in 0.5 s"] == heard


def test_a_test_kills_and_restarts_by_itself(config):
    with Mesh(config()) as mesh:
        mesh.kill("risk")
        assert not listens(mesh.config.port(2))
        mesh.set_env("risk", {"CASHIER_FAILPOINTS": "after_send:kill"}, "serve")

        mesh.restart("risk")

        environment = Path(f"/proc/{mesh.unit('risk').process.pid}/environ").read_bytes()
        assert b"CASHIER_FAILPOINTS=after_send:kill" in environment
        assert mesh.running


def test_the_databases_of_a_crash_come_back_too(config):
    with Mesh(config(restart_crashed=True)) as mesh:
        before = mesh.stores.postgres.process.pid

        mesh.stores.postgres.kill()

        wait_until(lambda: mesh.running and mesh.stores.postgres.process.pid != before)


def test_a_second_mesh_on_the_same_data_is_refused(config):
    wish = config()
    with Mesh(wish), pytest.raises(MeshError, match=r"a mesh \(process \d+\) already uses"):
        Mesh(wish).start()


def test_localstripe_keeps_to_loopback_and_to_its_own_folder(config):
    wish = config(services=(), localstripe=True)
    if not (wish.project_dir / ".tools/localstripe/bin/python").exists():
        pytest.skip("localstripe is not installed: run `make setup`")
    shared = Path(tempfile.gettempdir()) / "localstripe.pickle"
    before = shared.stat().st_mtime_ns if shared.exists() else None

    def customers(mesh, data=None):
        url = f"{mesh.peer_urls['localstripe']}/v1/customers"
        request = urllib.request.Request(url, data, {"Authorization": "Bearer sk_test_1"})  # noqa: S310
        return urllib.request.urlopen(request, timeout=5).read()  # noqa: S310

    with Mesh(wish) as mesh:
        customers(mesh, b"email=a@example.com")
        tcp6 = Path("/proc/net/tcp6").read_text()
        assert f"00000000000000000000000000000000:{wish.port(20):04X}" not in tcp6
        mesh.peers["localstripe"].kill()
    with Mesh(wish) as mesh:
        assert b"a@example.com" in customers(mesh)

    assert before == (shared.stat().st_mtime_ns if shared.exists() else None)


def test_the_chain_keeps_its_blocks(config):
    wish = config(services=(), chain=True)
    if not (wish.project_dir / ".tools/chain/node_modules").exists():
        pytest.skip("anvil is not installed: run `make setup`")

    def ask(mesh, method, params="[]"):
        body = f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}'.encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(mesh.peer_urls["chain"], body, headers)  # noqa: S310
        return urllib.request.urlopen(request, timeout=5).read()  # noqa: S310

    with Mesh(wish) as mesh:
        ask(mesh, "anvil_mine", '["0x7"]')
    with Mesh(wish) as mesh:
        assert b'"result":"0x7"' in ask(mesh, "eth_blockNumber")


def test_a_missing_peer_is_skipped_with_the_way_out(config, tmp_path):
    heard = []
    wish = config(services=(), chain=True, localstripe=True, project_dir=tmp_path)

    with Mesh(wish, tell=heard.append) as mesh:
        assert {} == mesh.peer_urls

    assert 2 == len(heard)
    assert all("make setup" in sentence for sentence in heard)
