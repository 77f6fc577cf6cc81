"""The requests that only look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, Protocol

from aiohttp import web

from cashier_sandbox.domain.charge import Resource, Status
from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.entry import Entry
from cashier_sandbox.flows.close_key import key_state
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import (
    PAGE_DEFAULT_ITEMS,
    PAGE_MAX_ITEMS,
    REFERENCE_MAX_CHARS,
    TOKEN_MAX_CHARS,
    Fields,
    is_key,
    query_of,
)
from cashier_sandbox.processors.native.wire import (
    event_json,
    key_json,
    resource_json,
    settlement_json,
)
from cashier_sandbox.settlement.formats import FORMATS


class Files(Protocol):
    """Where settlement files are kept."""

    def read(self, account: str, name: str) -> bytes:
        """Return a file; FileNotFoundError if it is gone."""


async def get_resource(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/charges|refunds|payouts/{id}`."""
    name = request.match_info["id"]
    collection = _collection(desk, request.match_info["collection"])
    if name not in collection:
        raise not_found(request.match_info["collection"].removesuffix("s"), name)
    return answer(resource_json(desk, collection[name]))


async def list_resources(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/charges|refunds|payouts`, oldest first."""
    kind = request.match_info["collection"]
    collection, query = _collection(desk, kind), query_of(request)
    reference = query.text("reference", most=REFERENCE_MAX_CHARS, default="")
    charge, status = "", ""
    if kind == "charges":
        status = query.choice("status", list(Status), default="")
    if kind == "refunds":
        charge = query.text("charge", most=TOKEN_MAX_CHARS, default="")
    after, limit = query.text("after", most=TOKEN_MAX_CHARS, default=""), _limit(query)
    query.end()
    if after and after not in collection:
        raise invalid("after", "after is not a cursor of this list")

    def wanted(resource: Resource) -> bool:
        return (not status or resource.status == status) and (
            not charge or getattr(resource, "charge", "") == charge
        )

    names: Sequence[str] = list(collection)
    if reference:
        operation = Operation(kind.removesuffix("s"))
        names = desk.book.by_reference.get((operation, reference), [])
    if after:
        names = names[names.index(after) + 1 :] if after in names else []
    found = list(islice(filter(wanted, (collection[name] for name in names)), limit + 1))
    return _page(found, limit, lambda item: resource_json(desk, item), lambda item: item.id)


async def get_balance(desk: Desk, _: web.Request) -> web.Response:
    """`GET /v1/balance`."""
    totals = sorted(desk.book.totals.items())
    return answer(
        {"object": "balance", "currencies": {currency: asdict(sums) for currency, sums in totals}}
    )


async def get_key(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/keys/{key}`."""
    key = request.match_info["key"]
    if not is_key(key):
        raise invalid("key", "a key has 1 to 64 visible ASCII characters")
    return answer(key_json(desk, key_state(desk, key)))


async def list_events(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/events`."""
    query = query_of(request)
    after, limit = query.number("after", default=0), _limit(query)
    query.end()
    entries = desk.book.entries
    later = islice(entries, first_after(entries, after), None)
    bodies = (body for entry in later if (body := event_json(desk, entry)))
    found = list(islice(bodies, limit + 1))
    return _page(found, limit, _as_is, lambda body: str(body["seq"]))


async def list_settlements(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/settlements`."""
    query = query_of(request)
    after, limit = query.text("after", most=REFERENCE_MAX_CHARS, default=""), _limit(query)
    query.end()
    entries = desk.book.settlements
    start = entries.index(find_settlement(desk, after)) + 1 if after else 0
    found = entries[start : start + limit + 1]
    return _page(
        found, limit, lambda entry: settlement_json(entry, anomalies=False), lambda entry: entry.id
    )


async def get_settlement(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/settlements/{id}`."""
    entry = find_settlement(desk, request.match_info["id"])
    return answer(settlement_json(entry, anomalies=False))


def settlement_file(desk: Desk, request: web.Request, files: Files) -> web.Response:
    """`GET /v1/settlements/{id}/file`."""
    entry = find_settlement(desk, request.match_info["id"])
    name = entry.detail["file_name"]
    try:
        content = files.read(entry.account, name)
    except FileNotFoundError:
        raise Refused(Code.NOT_FOUND, f"the file {name} was taken out of the data folder") from None
    return web.Response(
        body=content,
        content_type=FORMATS[entry.detail["format"]].content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def find_settlement(desk: Desk, name: str) -> Entry:
    """Return a settlement of this account by its id."""
    for entry in desk.book.settlements:
        if entry.id == name:
            return entry
    raise not_found("settlement", name)


def first_after(entries: Sequence[Entry], seq: int) -> int:
    """Return the index of the first entry behind a position, by halving."""
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        if entries[middle].seq > seq:
            high = middle
        else:
            low = middle + 1
    return low


def _collection(desk: Desk, kind: str) -> dict[str, Any]:
    book = desk.book
    collections: dict[str, dict[str, Any]] = {
        "charges": book.charges,
        "refunds": book.refunds,
        "payouts": book.payouts,
    }
    return collections[kind]


def _limit(query: Fields) -> int:
    limit = query.number("limit", default=PAGE_DEFAULT_ITEMS)
    if not 1 <= limit <= PAGE_MAX_ITEMS:
        raise invalid("limit", f"limit must be from 1 to {PAGE_MAX_ITEMS}")
    return limit


def _page(
    found: Sequence[Any],
    limit: int,
    body: Callable[[Any], dict[str, Any]],
    cursor: Callable[[Any], str],
) -> web.Response:
    shown, more = found[:limit], len(found) > limit
    return answer(
        {
            "object": "list",
            "data": [body(item) for item in shown],
            "has_more": more,
            "next_cursor": cursor(shown[-1]) if more else None,
        }
    )


def _as_is(body: dict[str, Any]) -> dict[str, Any]:
    return body
