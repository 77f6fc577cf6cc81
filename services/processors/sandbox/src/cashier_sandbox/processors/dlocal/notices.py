"""dLocal's notifications: the payment, refund or payout as it stands, signed like a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeAlias

import orjson

from cashier_sandbox.domain.charge import Status
from cashier_sandbox.domain.entry import Kind
from cashier_sandbox.domain.notice import Endpoint, News, Notice
from cashier_sandbox.flows.deliver_notice import Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.dlocal.signing import signed_headers
from cashier_sandbox.processors.dlocal.wire import (
    capture_json,
    payment_json,
    payout_json,
    refund_json,
)

_WAITING = {Status.PENDING, Status.REQUIRES_ACTION}


Sign: TypeAlias = Callable[[Endpoint, bytes, int], Mapping[str, str]]


def signer(login: str) -> Sign:
    """Return how an account's notifications are signed: its login is part of what is."""

    def sign(endpoint: Endpoint, body: bytes, at: int) -> Mapping[str, str]:
        return signed_headers(login, endpoint.secret, body, at)

    return sign


def write(desk: Desk, news: News) -> list[Notice]:
    """Return the notification that a piece of news is worth: every change of a status is."""
    body = _body(desk, news)
    if body is None:
        return []
    kind = "refund" if "payment_id" in body else "payout" if "external_id" in body else "payment"
    name = f"{body['id']}.{body['status']}.{news.entry.seq}"
    return [Notice(id=name, type=f"{kind}.{body['status']}".lower(), body=orjson.dumps(body))]


def _body(desk: Desk, news: News) -> dict[str, Any] | None:
    entry = news.entry
    if entry.kind is Kind.CAPTURE and news.charge:
        made = [capture for capture in news.charge.captures if capture.id == entry.id]
        return capture_json(news.charge, made[0])
    if entry.kind in {Kind.CHARGE, Kind.RESOLVE, Kind.VOID} and not (news.refund or news.payout):
        charge = news.charge
        return payment_json(desk, charge) if charge and charge.status not in _WAITING else None
    if news.refund and news.refund.status not in _WAITING:
        return refund_json(news.refund)
    if news.payout and news.payout.status not in _WAITING:
        return payout_json(news.payout)
    return None


NOTICES = Face(
    write=write,
    sign=lambda _endpoint, _body, _at: {},  # `signer` makes it, account by account
    secret=lambda name: sha256(name.encode()).hexdigest(),
    # "Until dLocal receives a 200 status code confirmation": no other status will do.
    taken=lambda status: status == 200,  # noqa: PLR2004
)
