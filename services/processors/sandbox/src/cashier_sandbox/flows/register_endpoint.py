"""Register where an account wants its notices, and take it back."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import Code, Refused, invalid

ENDPOINTS_MAX = 16
URL_MAX_CHARS = 2_048
TYPES_MAX = 200
TYPE_MAX_CHARS = 100
SECRET_MAX_CHARS = 256


def new_endpoint_id(desk: Desk) -> str:
    """Return an id that no endpoint of the account has."""
    return stable_id("we", desk.seed, desk.account.name, len(desk.book.entries))


def endpoint_draft(
    desk: Desk,
    name: str,
    *,
    url: str,
    secret: str,
    types: Sequence[str],
    key: str | None = None,
    fingerprint: str = "",
) -> Draft:
    """Return the ledger entry of a new endpoint; refused where it cannot be one."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise invalid("url", "url must be an http or https address without credentials in it")
    if len(desk.book.endpoints) >= ENDPOINTS_MAX:
        raise Refused(Code.STATE_REFUSED, f"an account has at most {ENDPOINTS_MAX} endpoints")
    return Draft(
        account=desk.account.name,
        kind=Kind.ENDPOINT,
        id=name,
        key=key,
        detail={
            "url": url,
            "secret": secret,
            "types": list(types),
            "fingerprint": fingerprint,
        },
    )


def remove_endpoint(desk: Desk, name: str) -> None:
    """Forget an endpoint; what is under way to it still goes there."""
    if name not in desk.book.endpoints:
        raise not_found("endpoint", name)
    desk.ledger.record(Draft(account=desk.account.name, kind=Kind.ENDPOINT_GONE, id=name))
