"""The page that a payer opens when a charge requires action: approve or deny."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.domain.currency import in_major
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.resolve import resolve
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import Fields, json_body
from cashier_sandbox.http.page import page

TITLE = "Sandbox bank"
_FORM = """<form method="post"><button class="first" name="outcome" value="approve">Approve</button>
<button name="outcome" value="deny">Deny</button></form>"""


async def show_challenge(desk: Desk, request: web.Request) -> web.Response:
    """`GET /challenges/{id}`: the page; nothing on it comes from outside."""
    charge = _charge(desk, request)
    waiting = charge.status is Status.REQUIRES_ACTION
    facts = (
        f"<dl><dt>Charge</dt><dd><code>{charge.id}</code></dd>"
        f"<dt>Amount</dt><dd>{in_major(charge.amount, charge.currency)} {charge.currency}</dd>"
        f"<dt>Now</dt><dd>{charge.status}</dd></dl>"
    )
    # The answer may lead to the merchant's return address, so the form is not held to this server.
    return page(TITLE, facts + (_FORM if waiting else ""), leaves=True)


async def answer_challenge(desk: Desk, request: web.Request) -> web.Response:
    """`POST /challenges/{id}` with `outcome`: approve or deny, as form or JSON."""
    charge = _charge(desk, request)
    form = request.content_type == "application/x-www-form-urlencoded"
    fields = Fields(dict(await request.post()) if form else await json_body(request))
    outcome = fields.choice("outcome", {"approve", "deny"})
    fields.end()
    decline = None if outcome == "approve" else "authentication_failed"
    resource = resolve(desk, charge.id, decline=decline)
    return answer({"object": "challenge", "charge": charge.id, "status": resource.status})


def _charge(desk: Desk, request: web.Request) -> Charge:
    charge = desk.book.charges.get(request.match_info["id"])
    if charge is None:
        raise not_found("charge", request.match_info["id"])
    return charge
