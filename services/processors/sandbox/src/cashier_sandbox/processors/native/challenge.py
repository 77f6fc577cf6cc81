"""The page that a payer opens when a charge requires action: approve or deny."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.resolve import resolve
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import Fields, json_body

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Sandbox bank</title>
<style>body{{font:16px system-ui;margin:4rem auto;max-width:24rem}}
button{{font:inherit;padding:.6rem 1.2rem;margin-right:1rem}}</style>
<h1>Sandbox bank</h1><p>Charge <code>{id}</code> of {amount} {currency} minor units: {status}.</p>
{form}</html>"""
_FORM = """<form method="post"><button name="outcome" value="approve">Approve</button>
<button name="outcome" value="deny">Deny</button></form>"""


async def show_challenge(desk: Desk, request: web.Request) -> web.Response:
    """`GET /challenges/{id}`: the page; nothing on it comes from outside."""
    charge = _charge(desk, request)
    waiting = charge.status is Status.REQUIRES_ACTION
    page = _PAGE.format(
        id=charge.id,
        amount=charge.amount,
        currency=charge.currency,
        status=charge.status,
        form=_FORM if waiting else "",
    )
    return web.Response(
        text=page,
        content_type="text/html",
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


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
