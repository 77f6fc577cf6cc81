"""`POST /v1/bank_tokens`: an account number goes in once, and only its token travels afterwards."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from cashier_nacha.routing import is_routing
from cashier_sandbox.domain.bank import BankToken
from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import Fields, json_body

ACCOUNT_MAX_CHARS = 17
ROUTING_CHARS = 9
# What is left of the clearing house's account field once `bt` stands before it.
TOKEN_CHARS = 15
TYPES = {"checking": "C", "savings": "S"}
_ACCOUNT = re.compile(r"[0-9A-Za-z-]{4,17}")


async def post_token(desk: Desk, request: web.Request) -> web.Response:
    """Keep an account; the same account gets the same token."""
    fields = Fields(await json_body(request))
    routing = fields.text("routing_number", most=ROUTING_CHARS)
    number = fields.text("account_number", most=ACCOUNT_MAX_CHARS)
    kind = fields.choice("account_type", TYPES, default="checking")
    fields.end()
    if not is_routing(routing):
        raise invalid("routing_number", "routing_number fails its check digit")
    if not _ACCOUNT.fullmatch(number):
        raise invalid("account_number", "account_number must be 4 to 17 letters, digits or dashes")
    made = stable_id("bt", desk.seed, desk.account.name, routing, number, kind)
    name = f"bt{made.removeprefix('bt_')[:TOKEN_CHARS]}"
    token = desk.book.bank.tokens.get(name)
    if token is None:
        facts = {"account_number": number, "routing_number": routing, "account_type": kind}
        desk.ledger.record(
            Draft(account=desk.account.name, kind=Kind.BANK_TOKEN, id=name, detail={"token": facts})
        )
        token = desk.book.bank.tokens[name]
    return answer(token_json(token), status=201)


def token_json(token: BankToken) -> dict[str, Any]:
    """A token as callers keep it: bank, kind of account, and the account's stand-in."""
    return {
        "object": "bank_token",
        "token": f"{token.routing_number}.{TYPES[token.account_type]}.{token.id}",
        "routing_number": token.routing_number,
        "account_type": token.account_type,
        "last4": token.account_number[-4:],
    }
