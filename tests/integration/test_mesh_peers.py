"""What the mesh starts beside its services: localstripe and a chain."""

import tempfile
import urllib.request
from pathlib import Path

import pytest

from cashier_mesh.config import MeshConfig
from cashier_mesh.peers import chain, localstripe
from cashier_mesh.supervisor import Mesh

LOCALSTRIPE_PORT = 20


@pytest.fixture
def config(tmp_path):
    return MeshConfig(data_dir=tmp_path / "data", base_port=0, sandbox=False)


@pytest.fixture
def logs(tmp_path):
    return tmp_path / "logs"


def call(url, data=None):
    headers = {"authorization": "Bearer sk_test_1"}
    if data and data.startswith(b"{"):
        headers["content-type"] = "application/json"
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - our own loopback address
    return urllib.request.urlopen(request, timeout=5).read()  # noqa: S310


def test_localstripe_keeps_to_loopback_and_to_its_own_folder(config, logs):
    if not (config.project_dir / ".tools/localstripe/bin/python").exists():
        pytest.skip("localstripe is not installed: run `make setup`")
    shared = Path(tempfile.gettempdir()) / "localstripe.pickle"
    before = shared.stat().st_mtime_ns if shared.exists() else None
    peer = localstripe(config, logs)
    try:
        peer.start().wait_ready()
        call(f"{peer.url}/v1/customers", b"email=a@example.com")
        listeners = Path("/proc/net/tcp6").read_text()
        assert f"{0:032X}:{config.port(LOCALSTRIPE_PORT):04X}" not in listeners

        peer.kill()
        peer.start().wait_ready()

        assert b"a@example.com" in call(f"{peer.url}/v1/customers")
    finally:
        peer.stop()
    assert before == (shared.stat().st_mtime_ns if shared.exists() else None)


def test_the_chain_keeps_its_blocks(config, logs):
    if not (config.project_dir / ".tools/chain/node_modules").exists():
        pytest.skip("anvil is not installed: run `make setup`")
    peer = chain(config, logs)
    try:
        peer.start().wait_ready()
        call(peer.url, b'{"jsonrpc":"2.0","id":1,"method":"anvil_mine","params":["0x7"]}')

        peer.stop()
        peer.start().wait_ready()

        height = call(peer.url, b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}')
        assert b'"result":"0x7"' in height
    finally:
        peer.stop()


def test_a_missing_peer_is_skipped_with_the_way_out(tmp_path):
    heard: list[str] = []
    wish = MeshConfig(
        data_dir=tmp_path / "data",
        project_dir=tmp_path,
        base_port=0,
        services=(),
        sandbox=False,
        database_url="postgresql://nobody@127.0.0.1:1/unused",
    )

    with Mesh(wish, tell=heard.append) as mesh:
        assert {} == mesh.peer_urls

    assert 2 == len(heard)
    assert all("make setup" in sentence for sentence in heard)
