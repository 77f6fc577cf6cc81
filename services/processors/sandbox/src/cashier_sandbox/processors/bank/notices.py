"""The bank's webhooks: an instant credit has its answer, a report is there to be fetched."""

from __future__ import annotations

from typing import Any

import orjson

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import Status
from cashier_sandbox.domain.entry import Kind
from cashier_sandbox.domain.notice import News, Notice
from cashier_sandbox.flows.deliver_notice import Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.bank.reports import report_json
from cashier_sandbox.processors.bank.rtp import transfer_json
from cashier_sandbox.processors.native.notices import NOTICES as NATIVE_NOTICES
from cashier_sandbox.processors.native.notices import sign

_RTP = {Kind.PAYOUT, Kind.RESOLVE, Kind.PAYOUT_FAILED}


def write(desk: Desk, news: News) -> list[Notice]:
    """Return the event of a piece of news; entries of files are told by reports alone."""
    entry = news.entry
    if entry.kind is Kind.ACH_REPORT:
        return [_notice(desk, news, "ach.report", report_json(desk.book.bank.reports[-1]))]
    payout = news.payout
    name = desk.book.bank.transfers.get(payout.id) if payout else None
    if payout is None or name is None or entry.kind not in _RTP:
        return []
    if payout.status is Status.PENDING:
        return []
    kind = "rtp.returned" if entry.kind is Kind.PAYOUT_FAILED else "rtp.status"
    return [_notice(desk, news, kind, transfer_json(name, None, payout))]


def _notice(desk: Desk, news: News, kind: str, resource: dict[str, Any]) -> Notice:
    entry = news.entry
    event = {
        "object": "event",
        "id": stable_id("evt", desk.seed, entry.account, entry.seq),
        "type": kind,
        "at": entry.at,
        "account": entry.account,
        "resource": resource,
    }
    return Notice(id=str(event["id"]), type=kind, body=orjson.dumps(event))


NOTICES = Face(write=write, sign=sign, secret=NATIVE_NOTICES.secret)
