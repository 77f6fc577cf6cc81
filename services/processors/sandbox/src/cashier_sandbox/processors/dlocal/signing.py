"""How dLocal and its merchants prove who they are: three headers, and an HMAC over the body."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from aiohttp import web

from cashier_sandbox.domain.account import Account
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.dialect import same_secret

SCHEME = "V2-HMAC-SHA256, Signature: "
BEARER = "Bearer "
HOW_TO = "Invalid credentials."
# dLocal tells this of its access tokens for payouts.
ACCESS_TOKEN_LIFE_S = 180


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account has at dLocal; `login` is the account's name."""

    login: str
    trans_key: str
    secret: str
    client_id: str
    client_secret: str


def credentials_of(account: Account) -> Credentials:
    """Return `<trans key>:<secret key>:<client id>:<client secret>`; what lacks is as the first."""
    parts = account.api_key.split(":")
    trans_key, secret, client_id, client_secret = (*parts, *[parts[0]] * 4)[:4]
    return Credentials(account.name, trans_key, secret, client_id, client_secret)


def signature(login: str, date: str, body: bytes, secret: str) -> str:
    """Return the hexadecimal HMAC-SHA256 over login, date and body without anything between."""
    text = f"{login}{date}".encode() + body
    return hmac.new(secret.encode(), text, sha256).hexdigest()


def signed_headers(login: str, secret: str, body: bytes, at: int) -> dict[str, str]:
    """Return what dLocal's own requests carry: `at` is the time in Unix seconds."""
    date = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    date = date.replace("+00:00", "Z")
    return {
        "Content-Type": "application/json",
        "X-Date": date,
        "X-Login": login,
        "Authorization": SCHEME + signature(login, date, body, secret),
    }


async def require_signature(known: Credentials, request: web.Request) -> None:
    """Refuse a payin that the account's keys did not sign; its headers passed the gate."""
    date = request.headers.get("X-Date", "")
    if request.headers.get("X-Login") != known.login or not _is_moment(date):
        raise Refused(Code.UNAUTHENTICATED, HOW_TO)
    if not same_secret(request.headers.get("X-Trans-Key", ""), known.trans_key):
        raise Refused(Code.UNAUTHENTICATED, HOW_TO)
    told = request.headers.get("Authorization", "")
    expected = SCHEME + signature(known.login, date, await request.read(), known.secret)
    if not same_secret(told, expected):
        raise Refused(Code.UNAUTHENTICATED, HOW_TO)


def require_bearer(known: Credentials, request: web.Request, now: int) -> None:
    """Refuse a payout without an access token of this account that still lives."""
    token = request.headers.get("Authorization", "").removeprefix(BEARER)
    ends, _, _ = token.partition(".")
    if not (ends.isascii() and ends.isdigit() and same_secret(token, access_token(known, ends))):
        raise Refused(Code.UNAUTHENTICATED, HOW_TO)
    if int(ends) < now:
        raise Refused(Code.UNAUTHENTICATED, HOW_TO)


def access_token(known: Credentials, ends: str) -> str:
    """Return the token that lives until a second of Unix time; nothing has to be kept of it."""
    seal = hmac.new(known.client_secret.encode(), f"{known.login}.{ends}".encode(), sha256)
    return f"{ends}.{seal.hexdigest()}"


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
