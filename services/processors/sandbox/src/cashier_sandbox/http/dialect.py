"""How an API is spoken: how callers say who they are, and how a refusal looks to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

from aiohttp import web

from cashier_sandbox.flows.refusals import Refused
from cashier_sandbox.http.answers import refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the gate needs to know of an imitated API."""

    authentic: Callable[[web.Request, str], bool]
    how_to_authenticate: str
    refusal: Callable[[web.Request, Refused], web.Response]
    # What each answer carries, refusals included: headers that name the request, say.
    mark: Callable[[web.Request, web.StreamResponse], None] = lambda _request, _answer: None


def same_secret(given: str, expected: str) -> bool:
    """Whether a header holds the secret; takes the same time wherever they differ."""
    return compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _bearer(request: web.Request, secret: str) -> bool:
    return same_secret(request.headers.get("Authorization", ""), f"Bearer {secret}")


NATIVE = Dialect(
    authentic=_bearer,
    how_to_authenticate=(
        "send the header Authorization: Bearer <key> with the key of this port's account"
    ),
    refusal=lambda _request, refused: refusal(refused),
)
