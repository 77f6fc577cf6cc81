"""Instant credits over `/rtp/credit_transfers`: pacs.008 in, pacs.002 out, as JSON."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web

from cashier_sandbox.domain.book import SpentKey
from cashier_sandbox.domain.charge import Payout, Status
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.script import WRONG_AMOUNT_MINOR, Twist, Verdict, behaviour_of
from cashier_sandbox.flows.close_key import close_key, key_state
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.operate import Wish, create_payout
from cashier_sandbox.flows.perform import Order
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import REFERENCE_MAX_CHARS, TOKEN_MAX_CHARS, Fields, json_body

END_TO_END_MAX_CHARS = 35
CENTS = 100
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,9})\.([0-9]{2})")
_END_TO_END = re.compile(r"[A-Za-z0-9/?:().,'+-]{1,35}")
STATUSES = {
    Status.SUCCEEDED: "ACSC",
    Status.PENDING: "PDNG",
    Status.DECLINED: "RJCT",
}
# The sandbox's reasons in the words of ISO 20022's external status reasons.
REASONS = {
    "try_again_later": "AB08",
    "issuer_unavailable": "AB08",
    "processing_error": "AB08",
    "invalid_account": "AC03",
    "expired_card": "AC04",
    "restricted_card": "AC06",
    "transaction_not_allowed": "AG01",
    "card_not_supported": "AG03",
    "insufficient_funds": "AM04",
    "withdrawal_limit_exceeded": "AM14",
    "currency_not_supported": "AM03",
    "fraudulent": "FR01",
    "lost_card": "FR01",
    "stolen_card": "FR01",
    "pickup_card": "FR01",
    "revocation_of_authorization": "AC06",
}
NO_REASON = "MS03"


async def post_transfer(desk: Desk, request: web.Request) -> web.Response:
    """Send an instant credit; an end-to-end id that was used is refused, whatever it was for."""
    body = await json_body(request)
    fields = Fields(body)
    name = _end_to_end(fields.text("end_to_end_id", most=END_TO_END_MAX_CHARS))
    amount = _amount(fields)
    token = _token(desk, fields.text("creditor_account", most=TOKEN_MAX_CHARS))
    reference = fields.text("remittance_information", most=REFERENCE_MAX_CHARS)
    fields.end()
    ask = Ask(operation=Operation.PAYOUT, token=token, currency="USD", amount=amount)
    parsed = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    order = Order(key=name, fingerprint=sha256(parsed).hexdigest(), ask=ask)
    try:
        done = await create_payout(desk, order, Wish(reference=reference, metadata={}))
    except Refused as refused:
        if refused.code is Code.IDEMPOTENCY_MISMATCH:
            raise _duplicate(name) from refused
        raise
    if done.replayed:
        raise _duplicate(name)
    return answer(transfer_json(name, done.spent, done.spent.resource), status=201)


async def get_transfer(desk: Desk, request: web.Request) -> web.Response:
    """Where a transfer stands; one that is not known may still be on its way until it is closed."""
    name = _end_to_end(request.match_info["id"])
    state = key_state(desk, name)
    if state.spent is not None and state.spent.operation is Operation.PAYOUT:
        return answer(transfer_json(name, None, _now(desk, state.spent)))
    if name in desk.book.closed:
        return answer(_closed(name))
    raise not_found("transfer", "with that end-to-end id")


async def close_transfer(desk: Desk, request: web.Request) -> web.Response:
    """Where a transfer stands; an unknown one is refused for ever after this."""
    name = _end_to_end(request.match_info["id"])
    state = close_key(desk, name)
    if state.spent is not None:
        return answer(transfer_json(name, None, _now(desk, state.spent)))
    return answer(_closed(name))


def transfer_json(name: str, spent: SpentKey | None, payout: object) -> dict[str, Any]:
    """A status report; with `spent` the first answer, lies included that a script asked for."""
    if not isinstance(payout, Payout):
        raise TypeError("a transfer is a payout")
    twist = spent.twist if spent else None
    amount = payout.amount + (WRONG_AMOUNT_MINOR if twist is Twist.AMOUNT else 0)
    wrong = twist is Twist.REFERENCE
    return {
        "object": "credit_transfer",
        "end_to_end_id": "somebody-else" if wrong else name,
        "clearing_reference": payout.id,
        "status": STATUSES[payout.status],
        "reason": REASONS.get(payout.decline, NO_REASON) if payout.decline else None,
        "instructed_amount": {
            "currency": "XTS" if twist is Twist.CURRENCY else payout.currency,
            "amount": f"{amount // CENTS}.{amount % CENTS:02d}",
        },
        "remittance_information": payout.reference,
        "created_at": payout.created_at,
    }


def _closed(name: str) -> dict[str, Any]:
    return {"object": "credit_transfer", "end_to_end_id": name, "status": "CLOSED"}


def _now(desk: Desk, spent: SpentKey) -> object:
    return desk.book.payouts.get(spent.resource.id)


def _duplicate(name: str) -> Refused:
    return Refused(Code.DUPLICATE, f"end-to-end id {name} was used before", "end_to_end_id")


def _end_to_end(text: str) -> str:
    if not _END_TO_END.fullmatch(text):
        raise invalid("end_to_end_id", "end_to_end_id must be 1 to 35 characters that ISO allows")
    return text


def _amount(fields: Fields) -> int:
    value = fields.take("instructed_amount")
    if not isinstance(value, dict) or set(value) != {"currency", "amount"}:
        raise invalid("instructed_amount", "instructed_amount must hold currency and amount")
    if value["currency"] != "USD":
        raise invalid("instructed_amount", "instructed_amount.currency must be USD")
    text = value["amount"]
    found = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    minor = int(found[1]) * CENTS + int(found[2]) if found else 0
    if not minor:
        raise invalid("instructed_amount", 'instructed_amount.amount must be text like "12.34"')
    return minor


def _token(desk: Desk, text: str) -> str:
    """The behaviour behind an account: a bank token's account receives, a test token acts."""
    name = text.rpartition(".")[2] if text[:1].isdigit() else text
    if name in desk.book.bank.tokens:
        return "tok_ok"
    behaviour = behaviour_of(name, 0)
    if behaviour is None or behaviour.verdict is Verdict.ACTION:
        raise Refused(
            Code.UNKNOWN_TOKEN, "creditor_account is no token of this bank", "creditor_account"
        )
    return name
