"""Gives each service a database, an owner role for migrations and an app role with few rights."""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from cashier_mesh.errors import MeshError
from cashier_mesh.private_files import secret

NAME = re.compile(r"^[a-z][a-z0-9_]{0,23}$")
SCRAM_ITERATIONS = 4096  # PostgreSQL's own default
CONNECT_TIMEOUT_S = 10.0
PROVISION_LOCK = 0x6361_7368  # several test workers may provision one server at once


@dataclass(frozen=True)
class ServiceDatabase:
    """One service's database: URLs `postgresql://user:password@host:port/name`."""

    service: str
    name: str
    owner_url: str = field(repr=False)
    app_url: str = field(repr=False)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that we may administer, and the folder where we keep its passwords."""

    admin_url: str = field(repr=False)
    secrets_dir: Path

    def provision(self, service: str, instance: str = "") -> ServiceDatabase:
        """Create what is missing and return the URLs; safe to repeat.

        `instance` makes a further database of the same service (and roles), for tests.
        """
        database, owner, app = self._names(service, instance)
        passwords = {role: self._password(role) for role in (owner, app)}
        _run(_provision(self.admin_url, database, owner, app, passwords))
        return self._database(service, instance)

    def clone(self, service: str, instance: str, source: str = "") -> ServiceDatabase:
        """Copy a database of a service (to which nobody is connected) with its rows and rights."""
        original, owner, app = self._names(service, source)
        database, *_ = self._names(service, instance)
        _run(_clone(self.admin_url, database, original, owner, app))
        return self._database(service, instance)

    def drop(self, service: str, instance: str) -> None:
        """Remove a further database of a service and end its connections."""
        database, *_ = self._names(service, instance)
        _run(_execute(self.admin_url, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'))

    def close_to_strangers(self) -> None:
        """Keep every role but the administrator out of the databases that came with the server."""
        for database in ("postgres", "template1"):
            _run(_execute(self.admin_url, f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"))

    def _database(self, service: str, instance: str) -> ServiceDatabase:
        database, owner, app = self._names(service, instance)
        return ServiceDatabase(
            service=service,
            name=database,
            owner_url=url_for(self.admin_url, owner, self._password(owner), database),
            app_url=url_for(self.admin_url, app, self._password(app), database),
        )

    def _password(self, role: str) -> str:
        return secret(self.secrets_dir / role)

    def _names(self, service: str, instance: str) -> tuple[str, str, str]:
        for word in filter(None, (service, instance)):
            if not NAME.match(word):
                raise MeshError(f"{word!r} cannot name a database: use {NAME.pattern}")
        database = f"cashier_{service}" + (f"_{instance}" if instance else "")
        return database, f"cashier_{service}_owner", f"cashier_{service}_app"


def url_for(server: str, user: str, password: str, database: str) -> str:
    """Return the server's URL with another user, password and database."""
    parts = urlsplit(server)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    return urlunsplit(("postgresql", netloc, f"/{database}", parts.query, ""))


def database_of(url: str, database: str) -> str:
    """Return the URL with another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="postgresql", path=f"/{database}"))


def scram_verifier(password: str, salt: bytes) -> str:
    """Return what PostgreSQL stores for a password (RFC 5803): the password never travels."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


async def _provision(
    admin_url: str, database: str, owner: str, app: str, passwords: dict[str, str]
) -> None:
    admin = await _connect(admin_url)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", PROVISION_LOCK)
        for role, password in passwords.items():
            await _ensure_role(admin, role, password)
        if not await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER"):
            await admin.execute(f'GRANT "{owner}" TO CURRENT_USER')  # to create in its name
        found = "SELECT 1 FROM pg_database WHERE datname = $1"
        if not await admin.fetchval(found, database):
            await admin.execute(
                f'CREATE DATABASE "{database}" OWNER "{owner}" TEMPLATE template0 ENCODING \'UTF8\''
            )
        await _restrict(admin, admin_url, database, owner, app)
    finally:
        await admin.close()


async def _ensure_role(admin: "asyncpg.Connection[Any]", role: str, password: str) -> None:
    verifier = scram_verifier(password, secrets.token_bytes(16))
    exists = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    await admin.execute(
        f"{verb} ROLE \"{role}\" LOGIN NOCREATEDB NOCREATEROLE INHERIT PASSWORD '{verifier}'"
    )


async def _restrict(
    admin: "asyncpg.Connection[Any]", admin_url: str, database: str, owner: str, app: str
) -> None:
    await _admit(admin, database, owner, app)
    inside = await _connect(database_of(admin_url, database))
    try:
        # A table is append-only for the app until a migration grants it UPDATE or DELETE.
        await inside.execute(
            f"""
            REVOKE CREATE ON SCHEMA public FROM PUBLIC;
            GRANT USAGE, CREATE ON SCHEMA public TO "{owner}";
            GRANT USAGE ON SCHEMA public TO "{app}";
            ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA public
                GRANT SELECT, INSERT ON TABLES TO "{app}";
            ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA public
                GRANT USAGE, SELECT ON SEQUENCES TO "{app}";
            """
        )
    finally:
        await inside.close()


async def _admit(admin: "asyncpg.Connection[Any]", database: str, owner: str, app: str) -> None:
    await admin.execute(
        f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;'
        f'GRANT CONNECT ON DATABASE "{database}" TO "{owner}", "{app}"'
    )


async def _clone(admin_url: str, database: str, source: str, owner: str, app: str) -> None:
    """Rights inside a database are copied with it; those on it are not."""
    admin = await _connect(admin_url)
    try:
        await admin.execute(f'CREATE DATABASE "{database}" OWNER "{owner}" TEMPLATE "{source}"')
        await _admit(admin, database, owner, app)
    finally:
        await admin.close()


async def _execute(admin_url: str, statement: str) -> None:
    admin = await _connect(admin_url)
    try:
        await admin.execute(statement)
    finally:
        await admin.close()


async def _connect(url: str) -> "asyncpg.Connection[Any]":
    try:
        return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        parts = urlsplit(url)
        raise MeshError(
            f"cannot administer PostgreSQL at {parts.hostname}:{parts.port} as {parts.username}: "
            f"{error}. Check CASHIER_DATABASE_URL, or unset it to use the embedded server"
        ) from error


def _run(work: Coroutine[Any, Any, None]) -> None:
    # In a thread of its own: a caller (a pytest fixture) may sit inside a running event loop.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, work).result()
