"""The 3DS server's webhook: the result request (RReq) of an authentication that was open."""

from __future__ import annotations

import orjson

from cashier_sandbox.domain.authentication import Finding
from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.entry import Kind
from cashier_sandbox.domain.notice import News, Notice
from cashier_sandbox.flows.deliver_notice import Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.acs.wire import result_json
from cashier_sandbox.processors.native.notices import NOTICES as NATIVE

RESULT = "authentication.result"


def write(desk: Desk, news: News) -> list[Notice]:
    """Return the event that carries an RReq; what was final in the ARes is not told again."""
    entry = news.entry
    if entry.kind is not Kind.AUTHENTICATION_RESULT:
        return []
    authentication = desk.book.authentications[entry.id]
    name = stable_id("evt", desk.seed, entry.account, entry.seq)
    event = {
        "object": "event",
        "id": name,
        "type": RESULT,
        "seq": entry.seq,
        "at": entry.at,
        "account": entry.account,
        "about": entry.id,
        "resource": result_json(authentication, Finding(**entry.detail["finding"])),
    }
    return [Notice(id=name, type=RESULT, body=orjson.dumps(event))]


# Signed like the sandbox's own events: `Sandbox-Signature` over time and bytes.
NOTICES = Face(write=write, sign=NATIVE.sign, secret=NATIVE.secret)
