"""The embedded Valkey: a password that is asked for, data that stays."""

import stat
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cashier_mesh.errors import PortTaken
from cashier_mesh.valkey import EmbeddedValkey

NO_RETRY = Retry(NoBackoff(), 0)


@pytest.fixture
def server(tmp_path):
    with EmbeddedValkey(tmp_path / "valkey") as running:
        yield running


def test_without_the_password_it_says_nothing(server):
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=server.port, retry=NO_RETRY).get("key")

    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=server.port, password="guess", retry=NO_RETRY).get("key")


def test_the_password_stands_in_no_command_line_and_in_no_open_file(server):
    password = server.url.split(":")[2].split("@")[0]
    command_line = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()

    assert password.encode() not in command_line
    modes = {stat.S_IMODE(file.stat().st_mode) for file in server.home.glob("valkey.[cp]*")}
    assert {0o600} == modes


def test_what_is_a_second_old_survives_a_kill(server):
    redis.Redis.from_url(server.url).set("key", "kept")
    time.sleep(1.2)  # appendfsync everysec

    server.kill()
    server.start()

    assert b"kept" == redis.Redis.from_url(server.url).get("key")


def test_a_taken_port_is_named(server, tmp_path):
    with pytest.raises(PortTaken, match=f"port {server.port} for Valkey"):
        EmbeddedValkey(tmp_path / "other", server.port).start()
