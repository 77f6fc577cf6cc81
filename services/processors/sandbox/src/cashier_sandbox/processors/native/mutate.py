"""The requests that do something: read strictly, done once per idempotency key."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web

from cashier_sandbox.domain.charge import Charge
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.script import Verdict, behaviour_of
from cashier_sandbox.flows.close_key import close_key
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.operate import (
    Wish,
    capture_charge,
    create_charge,
    create_payout,
    refund_charge,
    void_charge,
)
from cashier_sandbox.flows.perform import Done, Order
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import (
    AMOUNT_MAX_MINOR,
    REFERENCE_MAX_CHARS,
    TOKEN_MAX_CHARS,
    Fields,
    idempotency_key,
    is_key,
    json_body,
)
from cashier_sandbox.processors.native.wire import key_json, spent_json

_CREATED = 201
_REPLAYED = {"Idempotent-Replayed": "true"}


async def post_charge(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/charges`."""
    key, body = idempotency_key(request), await json_body(request)
    fields = Fields(body)
    amount, currency, token = _amount(fields), _currency(desk, fields), _token(fields, "token")
    wish = Wish(
        reference=_reference(fields),
        capture=fields.flag("capture", default=True),
        metadata=fields.pairs("metadata"),
    )
    fields.end()
    _known(token, amount, "token")
    ask = Ask(operation=Operation.CHARGE, token=token, currency=currency, amount=amount)
    return _answer(desk, await create_charge(desk, _order(key, request, body, ask), wish))


async def post_capture(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/charges/{id}/capture`."""
    key, body = idempotency_key(request), await json_body(request)
    charge, fields = _charge(desk, request.match_info["id"]), Fields(body)
    amount = _part(fields)
    reference = _reference(fields, default="")
    final = fields.flag("final", default=False)
    fields.end()
    order = _order(key, request, body, _ask_about(charge, Operation.CAPTURE, amount))
    done = await capture_charge(
        desk, order, charge.id, amount=amount, reference=reference, final=final
    )
    return _answer(desk, done)


async def post_void(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/charges/{id}/void`."""
    key, body = idempotency_key(request), await json_body(request)
    charge, fields = _charge(desk, request.match_info["id"]), Fields(body)
    reference = _reference(fields, default="")
    fields.end()
    order = _order(key, request, body, _ask_about(charge, Operation.VOID, None))
    return _answer(desk, await void_charge(desk, order, charge.id, reference=reference))


async def post_refund(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/refunds`."""
    key, body = idempotency_key(request), await json_body(request)
    fields = Fields(body)
    charge_id = fields.text("charge", most=TOKEN_MAX_CHARS)
    amount = _part(fields)
    wish = Wish(reference=_reference(fields), metadata=fields.pairs("metadata"))
    fields.end()
    charge = _charge(desk, charge_id)
    order = _order(key, request, body, _ask_about(charge, Operation.REFUND, amount))
    return _answer(desk, await refund_charge(desk, order, charge.id, amount=amount, wish=wish))


async def post_payout(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/payouts`."""
    key, body = idempotency_key(request), await json_body(request)
    fields = Fields(body)
    amount, currency = _amount(fields), _currency(desk, fields)
    token = _token(fields, "destination")
    wish = Wish(reference=_reference(fields), metadata=fields.pairs("metadata"))
    fields.end()
    behaviour = _known(token, amount, "destination")
    if behaviour is Verdict.ACTION:
        raise invalid("destination", f"destination {token} cannot be used for a payout")
    ask = Ask(operation=Operation.PAYOUT, token=token, currency=currency, amount=amount)
    return _answer(desk, await create_payout(desk, _order(key, request, body, ask), wish))


async def post_close(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/keys/{key}/close`."""
    key = request.match_info["key"]
    if not is_key(key):
        raise invalid("key", "a key has 1 to 64 visible ASCII characters")
    Fields(await json_body(request)).end()
    return answer(key_json(desk, close_key(desk, key)))


def _answer(desk: Desk, done: Done) -> web.Response:
    headers = _REPLAYED if done.replayed else None
    return answer(spent_json(desk, done.spent), status=_CREATED, headers=headers)


def _order(key: str, request: web.Request, body: dict[str, Any], ask: Ask) -> Order:
    parsed = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    fingerprint = sha256(request.path.encode() + b"\n" + parsed).hexdigest()
    return Order(key=key, fingerprint=fingerprint, ask=ask)


def _ask_about(charge: Charge, operation: Operation, amount: int | None) -> Ask:
    return Ask(operation=operation, token="", currency=charge.currency, amount=amount or 0)


def _charge(desk: Desk, name: str) -> Charge:
    charge = desk.book.charges.get(name)
    if charge is None:
        raise not_found("charge", name)
    return charge


def _amount(fields: Fields) -> int:
    return fields.integer("amount", least=1, most=AMOUNT_MAX_MINOR)


def _part(fields: Fields) -> int | None:
    return fields.integer_if_any("amount", least=1, most=AMOUNT_MAX_MINOR)


def _reference(fields: Fields, default: str | None = None) -> str:
    return fields.text("reference", most=REFERENCE_MAX_CHARS, default=default)


def _token(fields: Fields, name: str) -> str:
    return fields.text(name, most=TOKEN_MAX_CHARS)


def _currency(desk: Desk, fields: Fields) -> str:
    return fields.choice("currency", desk.account.currencies)


def _known(token: str, amount: int, field: str) -> Verdict:
    behaviour = behaviour_of(token, amount)
    if behaviour is None:
        raise Refused(Code.UNKNOWN_TOKEN, f"{field} is not in the sandbox's table of tokens", field)
    return behaviour.verdict
