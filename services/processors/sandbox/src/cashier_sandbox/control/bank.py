"""What the payer's bank does of its own accord: it asks, and it lets fail what had succeeded."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.control.branch import Branch
from cashier_sandbox.domain.declines import DECLINES
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.fail_later import fail_later, report_fraud, request_information
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.flows.take_back import escalate, supply_information
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import KEY_MAX_CHARS, Fields, json_body
from cashier_sandbox.processors.native.wire import chargeback_json


async def post_failure(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/captures|refunds|payouts/{id}/fail`."""
    fields = Fields(await json_body(request))
    code = fields.choice("code", set(DECLINES), default="generic_decline")
    fields.end()
    name = request.match_info["id"]
    entry = fail_later(_holder(branch, name), name, code=code)
    return answer(entry.as_dict(), status=201)


async def post_question(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/charges/{id}/request_for_information`."""
    fields = Fields(await json_body(request))
    reason = fields.text("reason", most=KEY_MAX_CHARS, default="cardholder does not recognise it")
    fields.end()
    name = request.match_info["id"]
    entry = request_information(branch.holder(name), name, reason=reason)
    return answer(entry.as_dict(), status=201)


async def post_fraud(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/charges/{id}/fraud_report`."""
    Fields(await json_body(request)).end()
    name = request.match_info["id"]
    return answer(report_fraud(branch.holder(name), name).as_dict(), status=201)


async def post_next_stage(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/chargebacks/{id}/escalate`."""
    Fields(await json_body(request)).end()
    name = request.match_info["id"]
    return answer(chargeback_json(escalate(branch.dispute_holder(name), name)), status=201)


async def post_evidence(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/chargebacks/{id}/evidence`."""
    Fields(await json_body(request)).end()
    name = request.match_info["id"]
    return answer(chargeback_json(supply_information(branch.dispute_holder(name), name)))


def _holder(branch: Branch, name: str) -> Desk:
    for counter in branch.counters.values():
        book = counter.desk.book
        captures = (capture.id for charge in book.charges.values() for capture in charge.captures)
        if book.resource(name) or name in book.failed_later or name in captures:
            return counter.desk
    raise Refused(Code.NOT_FOUND, f"no account has {name}")
