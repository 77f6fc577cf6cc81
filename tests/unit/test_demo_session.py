"""On which ports the demo starts when others are there first, and whose mesh it uses."""

import socket

import httpx
import pytest
from rich.console import Console

from cashier_mesh.config import MeshConfig
from cashier_mesh.demo import session as module
from cashier_mesh.demo.ground import Ground, occupied
from cashier_mesh.demo.play import Options
from cashier_mesh.demo.session import Session
from cashier_mesh.errors import MeshError
from cashier_mesh.residence import Residence


@pytest.fixture
def base_port():
    """A free block, so that only this test decides which of its ports are taken."""
    return MeshConfig(base_port=0).base_port


def a_session(folder, base_port):
    return Session(
        data_dir=folder, base_port=base_port, keep=False, only_check=False, chain=True,
        localstripe=True, options=Options(),
    )  # fmt: skip


def test_free_ports_are_used_as_they_are(tmp_path, monkeypatch, base_port):
    monkeypatch.setattr(module, "BASE_PORT", base_port)
    said = []

    config = module._config(a_session(tmp_path, base_port), said.append)

    assert base_port == config.base_port
    assert [] == said


def test_a_taken_port_of_the_usual_ones_moves_the_run_and_is_said(tmp_path, monkeypatch, base_port):
    monkeypatch.setattr(module, "BASE_PORT", base_port)
    said = []

    with socket.create_server(("127.0.0.1", base_port + 40)):
        config = module._config(a_session(tmp_path, base_port), said.append)

    assert base_port != config.base_port
    expected = (
        f"port {base_port + 40} for PostgreSQL is taken by another program: this run uses ports "
        f"from {config.base_port} on"
    )
    assert [expected] == said


def test_a_port_that_somebody_chose_is_not_changed(tmp_path, base_port):
    with socket.create_server(("127.0.0.1", base_port + 40)):
        config = module._config(a_session(tmp_path, base_port), lambda _: None)

    assert base_port == config.base_port


def test_a_mesh_that_runs_in_the_folder_is_found(tmp_path):
    residence = Residence(tmp_path)
    residence.enter()
    residence.announce({"targets": {"router": "127.0.0.1:1"}, "peers": {}})

    found = occupied(tmp_path)

    residence.leave()
    assert found is not None
    assert {"router": "127.0.0.1:1"} == found.targets
    assert occupied(tmp_path) is None


def test_a_mesh_that_has_only_begun_is_waited_for_by_the_person(tmp_path):
    residence = Residence(tmp_path)
    residence.enter()

    with pytest.raises(MeshError, match="is starting"):
        occupied(tmp_path)

    residence.leave()


def test_a_processor_that_is_away_is_one_sentence(tmp_path, monkeypatch, base_port):
    async def play(*_):
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.get(f"http://127.0.0.1:{base_port}/v1/charges")

    monkeypatch.setattr(module, "play", play)
    ground = Ground(tmp_path, {}, {})

    with pytest.raises(MeshError, match=rf"{base_port}/v1/charges did not answer \(ConnectError"):
        module._run(ground, a_session(tmp_path, base_port), Console(quiet=True))
