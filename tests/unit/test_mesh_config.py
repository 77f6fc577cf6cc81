"""Ports, replicas, targets and files of the mesh before anything runs."""

import os
import socket
import stat
import subprocess
import sys

import pytest

from cashier_mesh.accounts import Account, closed_folder, place_for, reachable
from cashier_mesh.config import MeshConfig, rebased
from cashier_mesh.display import prefixed
from cashier_mesh.errors import MeshError, PortTaken
from cashier_mesh.ports import Claim, free_base_port, is_free, require_free
from cashier_mesh.private_files import secret, write_private
from cashier_mesh.residence import Residence

# Another user than the one who runs the tests, whoever that is.
STRANGER = Account("stranger", os.geteuid() + 1, os.getegid() + 1)


def test_a_taken_port_is_named_with_its_part_and_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=f"port {port} for the chain .* --base-port"):
            require_free([Claim(port, "the chain", "--base-port")])


def test_a_listener_on_every_interface_takes_the_port_too():
    with socket.create_server(("", 0)) as taken:
        assert not is_free(taken.getsockname()[1])


def test_replicas_become_one_target():
    config = MeshConfig(base_port=23_000, replicas={"router": 3})

    targets = {service.name: config.target(service) for service in config.chosen()}

    assert "127.0.0.1:23001,127.0.0.1:23101,127.0.0.1:23201" == targets["router"]
    assert "127.0.0.1:23002" == targets["risk"]


def test_no_two_parts_claim_one_port():
    config = MeshConfig(base_port=23_000, replicas={"router": 9, "gateway": 9, "crypto": 2})

    ports = [claim.port for claim in config.claims()]

    assert len(set(ports)) == len(ports)


def test_a_named_server_needs_no_port_of_ours():
    config = MeshConfig(
        base_port=23_000, database_url="postgresql://a@db/x", redis_url="redis://cache"
    )

    parts = {claim.part for claim in config.claims()}

    assert not parts & {"PostgreSQL", "Valkey"}
    assert "postgresql://" not in repr(config)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"services": ("ruter",)}, "no service 'ruter': choose from risk, gateway"),
        ({"replicas": {"router": 0}}, "router has 0 replicas: choose 1 to 9"),
        ({"extra_env": {"rsk/serve": {}}}, "no service 'rsk'"),
    ],
)
def test_a_wrong_wish_is_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(MeshError, match=sentence):
        MeshConfig(**wrong)


def test_a_free_block_is_free_at_every_offset():
    base = free_base_port([1, 40, 101])

    assert all(is_free(base + offset) for offset in (1, 40, 101))


def test_a_development_file_moves_to_another_base_and_nothing_else_changes(tmp_path):
    source = tmp_path / "accounts.yaml"
    source.write_text("port: 7411\nurl: http://127.0.0.1:7420/v1\nlimit: 7411\ncode: 17411\n")

    moved = rebased(source, tmp_path / "moved.yaml", 23_000).read_text()

    assert "port: 23011\nurl: http://127.0.0.1:23020/v1\nlimit: 7411\ncode: 17411\n" == moved


def test_a_closed_folder_sends_the_data_elsewhere_and_stays_closed(tmp_path):
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)

    place = place_for(closed / "postgres", STRANGER)

    assert not reachable(closed / "postgres", STRANGER)
    assert closed_folder(closed / "postgres", STRANGER) in {closed, *closed.parents}
    assert reachable(place, STRANGER)
    assert place == place_for(closed / "postgres", STRANGER)
    assert 0o700 == stat.S_IMODE(closed.stat().st_mode)


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "secret"

    first = secret(path)

    assert first == secret(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    write_private(path, b"other")
    assert ["secret"] == [file.name for file in tmp_path.iterdir()]


def test_two_meshes_never_share_a_folder(tmp_path):
    first = Residence(tmp_path / "data")
    assert first.enter() is False
    first.announce({"targets": {"router": "127.0.0.1:1"}})

    with pytest.raises(MeshError, match=f"process {os.getpid()}.*--data-dir"):
        Residence(tmp_path / "data").enter()

    assert "127.0.0.1:1" == Residence(tmp_path / "data").occupant()["targets"]["router"]
    first.leave()
    assert {} == Residence(tmp_path / "data").occupant()


def test_a_killed_mesh_leaves_a_folder_that_says_so(tmp_path):
    script = (
        "import os, sys, pathlib; from cashier_mesh.residence import Residence;"
        "Residence(pathlib.Path(sys.argv[1])).enter(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "data"], check=False)

    assert {} == Residence(tmp_path / "data").occupant()
    assert Residence(tmp_path / "data").enter() is True


def test_a_log_line_reads_as_event_and_facts():
    line = '{"event": "payment settled", "level": "info", "trace_id": "4bf9", "n": 2}'

    assert "router        │ payment settled trace_id=4bf9 n=2" == prefixed("router", line).plain
    assert "risk          │ [oops] {" == prefixed("risk", "[oops] {").plain
