"""The supervisor with real servers and a stand-in service: start, harm, stop, go on."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
import redis

from cashier_mesh.config import PROJECT_DIR
from cashier_mesh.errors import MeshError, PortTaken, StartFailed
from cashier_mesh.health import channel_to, grpc_trouble
from cashier_mesh.ports import free_base_port
from cashier_mesh.postgres import temporary_postgres
from cashier_mesh.supervisor import Mesh
from tests.support.mesh_stand_in import (
    alive,
    descendants,
    listens,
    reachable_folder,
    small_mesh,
    wait_until,
)

EMBEDDED = {"database_url": ""}


def pid_of(part):
    return part.process.pid


@pytest.fixture
def folder():
    with reachable_folder() as made:
        yield made


@pytest.fixture(scope="module")
def database_url():
    """A server that the meshes of these tests share: making one takes longer than most tests."""
    with temporary_postgres() as server:
        yield server.admin_url


@pytest.fixture
def config(folder, database_url):
    return lambda **wishes: small_mesh(folder, **({"database_url": database_url} | wishes))


def test_it_starts_serves_and_leaves_nothing(config):
    mesh = Mesh(config(replicas={"risk": 2}, traces=True, **EMBEDDED))
    others = set(descendants(os.getpid()))

    with mesh:
        assert ["risk", "risk-2", "risk-work", "risk-work-2"] == [u.name for u in mesh.units]
        for target in mesh.targets["risk"].split(","):
            with channel_to(target, mesh.credentials("checkout")) as channel:
                assert grpc_trouble(channel) is None
        environment = mesh.service_env("risk", "work", 2)
        assert "cashier_risk_app" in environment["CASHIER_DATABASE_URL"]
        assert environment["CASHIER_TRACE_FILE"].endswith("traces/risk-work-2.jsonl")
        # A server of other tests may start a process of its own meanwhile: not what is below it.
        pids = descendants(os.getpid(), but=others)

    assert len(pids) >= 6
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
    wish = config(base_port=free_base_port([2, 20, 30, 40, 50]), **EMBEDDED)
    words = ["--data-dir", str(wish.data_dir), "--base-port", str(wish.base_port)]
    up = [*("-m", "cashier_mesh", "up", "--services", "risk", "--no-sandbox"), *words]
    environment = os.environ | {"PYTHONPATH": str(folder / "stand_in")}
    output = (folder / "up.log").open("wb")
    supervisor = subprocess.Popen([sys.executable, *up], env=environment, stdout=output)
    wait_until(lambda: b"ready" in (folder / "up.log").read_bytes(), 60)
    ports = [wish.base_port + offset for offset in (2, 40, 50)]
    ports += [wish.base_port + 20] * (PROJECT_DIR / ".tools/localstripe/bin/python").exists()
    ports += [wish.base_port + 30] * (PROJECT_DIR / ".tools/chain/node_modules").exists()
    password = (wish.data_dir / "valkey" / "valkey.password").read_text()
    valkey = redis.Redis(port=ports[2], password=password)
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
    wish = config(base_port=free_base_port([2, 40, 50]), **EMBEDDED)
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


def test_a_reader_of_its_output_may_leave(config, folder):
    """`make up | head` once ended the supervisor in the middle of its own clean-up."""
    wish = config(base_port=free_base_port([40, 50]), **EMBEDDED)
    words = ["--data-dir", str(wish.data_dir), "--base-port", str(wish.base_port)]
    without = ["--no-sandbox", "--no-chain", "--no-localstripe", "--services", ""]
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "cashier_mesh", "up", *without, *words], stdout=subprocess.PIPE
    )
    assert supervisor.stdout
    assert b"ready" in supervisor.stdout.readline()
    supervisor.stdout.close()

    supervisor.terminate()

    assert 0 == supervisor.wait(30)
    assert "shut down" in (wish.data_dir / "logs" / "postgres.log").read_text()
    assert not listens(wish.base_port + 40)


def test_a_taken_port_is_named_and_nothing_is_left(config):
    wish = config()
    with (
        socket.create_server(("127.0.0.1", wish.base_port + 2)),
        pytest.raises(PortTaken, match=f"port {wish.base_port + 2} for the risk service"),
    ):
        Mesh(wish).start()

    assert not listens(wish.base_port + 50)
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
    mesh = Mesh(config(env=trouble))

    with pytest.raises(StartFailed, match=sentence):
        mesh.start()

    assert not listens(mesh.config.base_port + 2)
    assert not listens(mesh.config.base_port + 50)


def test_a_crashed_service_starts_again_when_wished(config):
    heard: list[str] = []
    with Mesh(config(restart_crashed=True), tell=heard.append) as mesh:
        before = pid_of(mesh.unit("risk"))

        mesh.kill("risk")

        unit = mesh.unit("risk")
        wait_until(lambda: unit.running() and pid_of(unit) != before)
        unit.wait_ready()
        assert ["risk ended with signal SIGKILL; it starts again in 0.5 s"] == heard


def test_a_test_kills_and_restarts_by_itself(config):
    with Mesh(config()) as mesh:
        mesh.kill("risk")
        assert not listens(mesh.config.port(2))
        mesh.set_env("risk", {"CASHIER_FAILPOINTS": "after_send:kill"}, "serve")

        mesh.restart("risk")

        environment = Path(f"/proc/{pid_of(mesh.unit('risk'))}/environ").read_bytes()
        assert b"CASHIER_FAILPOINTS=after_send:kill" in environment
        assert mesh.running


def test_the_databases_of_a_crash_come_back_too(config):
    with Mesh(config(restart_crashed=True, **EMBEDDED)) as mesh:
        postgres = mesh.stores.postgres
        assert postgres
        before = pid_of(postgres)

        postgres.kill()

        wait_until(lambda: mesh.running and pid_of(postgres) != before)


def test_a_second_mesh_on_the_same_data_is_refused(config):
    wish = config()
    with Mesh(wish), pytest.raises(MeshError, match=r"a mesh \(process \d+\) already uses"):
        Mesh(wish).start()


def test_a_server_that_others_run_is_used_and_left_running(config, database_url):
    with Mesh(config()) as mesh:
        port = int(database_url.rpartition(":")[2].partition("/")[0])
        assert f":{port}/cashier_risk" in mesh.service_env("risk")["CASHIER_DATABASE_URL"]
        assert mesh.stores.postgres is None

    assert listens(port)
