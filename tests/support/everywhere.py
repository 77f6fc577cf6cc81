"""Reads back everything that a running mesh has written anywhere, so that tests may search it."""

import asyncio
import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import redis

from cashier_mesh.databases import database_of
from cashier_mesh.supervisor import Mesh

TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
SEPARATORS = re.compile(r"[\W_]+")


def everything(mesh: Mesh) -> dict[str, str]:
    """All text by place: `log router`, `spans risk`, `file sandbox/ledger.jsonl`, `valkey`, …

    A table is `table router public.payments`: every column of every row, bytes as they are.
    """
    return {**files(mesh), **asyncio.run(_tables(mesh)), **valkey(mesh)}


def files(mesh: Mesh) -> dict[str, str]:
    """Every file that any process left, but the databases' own."""
    found = {}
    for path in sorted(mesh.config.data_dir.rglob("*")):
        parts = path.relative_to(mesh.config.data_dir).parts
        if not path.is_file() or "pgdata" in parts:
            continue
        kind = {"logs": "log", "traces": "spans"}.get(parts[0], "file")
        name = path.stem if kind != "file" else "/".join(parts)
        found[f"{kind} {name}"] = path.read_bytes().decode(errors="replace")
    return found


def valkey(mesh: Mesh) -> dict[str, str]:
    """Every key with all that it holds, as one text."""
    client = redis.Redis.from_url(mesh.stores.redis_url)
    readers: Mapping[Any, Any] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    lines = []
    for key in client.scan_iter(count=1_000):
        kind = client.type(key)
        value = readers[kind](key) if kind != b"none" else b"expired meanwhile"
        lines.append(" ".join(_texts([key, value])))
    client.close()
    return {"valkey": "\n".join(lines)}


def places_with(everywhere: Mapping[str, str], text: str) -> list[str]:
    """Where a text stands, as it is or spread over separators and full-width characters."""
    bare = squeezed(text)
    return [
        place for place, found in everywhere.items() if text in found or bare in squeezed(found)
    ]


@functools.lru_cache(maxsize=256)
def squeezed(text: str) -> str:
    """The text without separators and in plain characters: how a person reads it."""
    normal = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return SEPARATORS.sub("", normal)


async def _tables(mesh: Mesh) -> dict[str, str]:
    admin_url, found = mesh.stores.server().admin_url, {}
    for service in mesh.targets:
        url = database_of(admin_url, mesh.stores.database(service).name)
        connection = await asyncpg.connect(url)
        try:
            for (table,) in await connection.fetch(TABLES):
                rows = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608 - from pg_tables
                text = "\n".join(" | ".join(_texts(row.values())) for row in rows)
                found[f"table {service} {table}"] = text
        finally:
            await connection.close()
    return found


def _texts(values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, bytes):
            yield value.decode(errors="replace")
        elif isinstance(value, Mapping):
            yield from _texts([item for pair in value.items() for item in pair])
        elif isinstance(value, list | tuple | set):
            yield from _texts(value)
        else:
            yield str(value)
