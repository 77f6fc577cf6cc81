"""The clearing house at a bank's account: let a settlement time pass, return an entry."""

from __future__ import annotations

import re

from aiohttp import web

from cashier_sandbox.control.branch import Branch
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.flows.settle_ach import plan_entry, settle_ach
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import KEY_MAX_CHARS, Fields, json_body

_CODE = re.compile(r"[RC][0-9]{2}")


async def post_settle(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/accounts/{account}/ach/settle`."""
    Fields(await json_body(request)).end()
    return answer({"told": settle_ach(_bank(branch, request))})


async def post_plan(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/accounts/{account}/ach/plans`."""
    fields = Fields(await json_body(request))
    entry = fields.text("entry", most=KEY_MAX_CHARS)
    code = fields.text("code", most=3)
    fields.end()
    if not _CODE.fullmatch(code):
        raise invalid("code", "code must be a return or change code, as R01 or C01")
    plan = plan_entry(_bank(branch, request), entry, code=code)
    return answer({"entry": entry, "code": plan.code, "late": plan.late}, status=201)


def _bank(branch: Branch, request: web.Request) -> Desk:
    desk = branch.counter(request.match_info["account"]).desk
    if desk.account.imitates != "bank":
        raise Refused(Code.STATE_REFUSED, f"{desk.account.name} is no bank's account", "account")
    return desk
