"""`POST /v1/tokens` keeps a test alias, `POST /v1/exchange` gives an account's own token for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from itertools import count

import orjson
from aiohttp import web

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.domain.script import Behaviour, behaviour_of
from cashier_sandbox.domain.vault_token import VaultToken
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.perform import Order, perform
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import (
    IDEMPOTENCY_KEY,
    KEY_MAX_CHARS,
    TOKEN_MAX_CHARS,
    Fields,
    idempotency_key,
    json_body,
)

ALIAS_MAX_CHARS = 64
CREATED = 201
Handler = Callable[[Desk, web.Request], Awaitable[web.Response]]
_unkeyed = count(1)


def routes(desk: Desk, _files: object) -> list[web.RouteDef]:
    """Return every route of the vault."""

    def bound(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def call(request: web.Request) -> web.Response:
            return await handler(desk, request)

        return call

    async def health(_request: web.Request) -> web.Response:
        return answer({"status": "serving", "account": desk.account.name})

    return [
        web.post("/v1/tokens", bound(post_token)),
        web.get("/v1/tokens/{id}", bound(get_token), allow_head=False),
        web.delete("/v1/tokens/{id}", bound(delete_token)),
        web.post("/v1/exchange", bound(post_exchange)),
        web.get("/health", health, allow_head=False),
    ]


async def post_token(desk: Desk, request: web.Request) -> web.Response:
    """Keep `{alias}`, a token of the sandbox's table; a card number is refused unread."""
    key, body = idempotency_key(request), await json_body(request)
    fields = Fields(body)
    alias = fields.text("alias", most=ALIAS_MAX_CHARS)
    fields.end()
    if behaviour_of(alias, 0) is None:
        raise Refused(Code.UNKNOWN_TOKEN, "alias is not in the sandbox's table of tokens", "alias")
    name = stable_id("vt", desk.seed, desk.account.name, key)
    order = _order(key, request, body)
    detail = {"fingerprint": order.fingerprint, "alias": alias}
    await perform(desk, order, _recorded(desk, order, Kind.TOKEN, name, detail))
    return answer(_json(_token(desk, name)), status=CREATED)


async def get_token(desk: Desk, request: web.Request) -> web.Response:
    """Show a token; its alias stays inside."""
    return answer(_json(_token(desk, request.match_info["id"])))


async def delete_token(desk: Desk, request: web.Request) -> web.Response:
    """Forget a token: from now on it is unknown."""
    token = _token(desk, request.match_info["id"])
    desk.ledger.record(Draft(account=desk.account.name, kind=Kind.TOKEN_GONE, id=token.id))
    return answer({"object": "token", "id": token.id, "deleted": True})


async def post_exchange(desk: Desk, request: web.Request) -> web.Response:
    """Give `{vault_token, processor_account}` the account's token: the same whenever asked."""
    body = await json_body(request)
    fields = Fields(body)
    name = fields.text("vault_token", most=TOKEN_MAX_CHARS)
    account = fields.text("processor_account", most=KEY_MAX_CHARS)
    fields.end()
    if account not in desk.peers:
        raise invalid("processor_account", "processor_account is no account of this sandbox")
    token = _token(desk, name)
    given = request.headers.get(IDEMPOTENCY_KEY)
    # Without a key each exchange is one of its own; its answer is the same all the same.
    key = idempotency_key(request) if given else _own_key(desk)
    order = _order(key, request, body)
    detail = {"fingerprint": order.fingerprint, "account": account}
    await perform(desk, order, _recorded(desk, order, Kind.TOKEN_EXCHANGED, name, detail))
    return answer(
        {
            "object": "exchange",
            "vault_token": token.id,
            "processor_account": account,
            "token": token.at(account),
        }
    )


def _recorded(
    desk: Desk, order: Order, kind: Kind, name: str, detail: dict[str, str]
) -> Callable[[Behaviour], Draft]:
    def effect(_: Behaviour) -> Draft:
        return Draft(account=desk.account.name, kind=kind, id=name, key=order.key, detail=detail)

    return effect


def _order(key: str, request: web.Request, body: dict[str, object]) -> Order:
    parsed = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    fingerprint = sha256(request.path.encode() + b"\n" + parsed).hexdigest()
    ask = Ask(operation=Operation.TOKEN, token="", currency="", amount=0)
    return Order(key=key, fingerprint=fingerprint, ask=ask)


def _own_key(desk: Desk) -> str:
    # Never given twice, over restarts too: what it does grows the ledger.
    return f"unkeyed-{len(desk.ledger.entries)}-{next(_unkeyed)}"


def _token(desk: Desk, name: str) -> VaultToken:
    token = desk.book.vault.get(name)
    if token is None:
        raise not_found("token", name if name.startswith("vt_") else "of that name")
    return token


def _json(token: VaultToken) -> dict[str, str]:
    return {"object": "token", "id": token.id, "created_at": token.created_at}
