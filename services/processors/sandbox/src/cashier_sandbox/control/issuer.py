"""What a card's issuer does of its own accord: it sends the result of an authentication."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.control.branch import Branch
from cashier_sandbox.domain.authentication import FINAL, TransStatus
from cashier_sandbox.domain.card_script import CANCEL_CODES, is_reason
from cashier_sandbox.flows.authenticate import Verdict, conclude
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import Fields, json_body
from cashier_sandbox.processors.acs.wire import authentication_json


async def post_result(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/authentications/{id}/result`: an RReq now; `again` sends one more."""
    fields = Fields(await json_body(request))
    status = TransStatus(fields.choice("transStatus", FINAL))
    reason = fields.text("transStatusReason", most=2, default="")
    cancel = fields.choice("challengeCancel", {*CANCEL_CODES, ""}, default="")
    again = fields.flag("again", default=False)
    fields.end()
    if reason and not is_reason(reason):
        raise invalid("transStatusReason", "transStatusReason must be 01 to 26 or 80 to 99")
    name = request.match_info["id"]
    verdict = Verdict(status=status, reason=reason, cancel=cancel)
    after = conclude(_holder(branch, name), name, verdict, again=again)
    return answer(authentication_json(after), status=201)


def _holder(branch: Branch, name: str) -> Desk:
    for counter in branch.counters.values():
        if name in counter.desk.book.authentications:
            return counter.desk
    raise Refused(Code.NOT_FOUND, f"no account has {name}")
