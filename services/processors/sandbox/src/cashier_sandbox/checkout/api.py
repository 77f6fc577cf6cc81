"""The checkout page and what its script asks the server: no key, as a payer's browser has none."""

from __future__ import annotations

import secrets
from html import escape
from pathlib import Path

from aiohttp import web

from cashier_sandbox.checkout.device import (
    HEADER_MAX_CHARS,
    device_json,
    read_browser,
    scriptless_browser,
)
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import Fields, json_body, query_of
from cashier_sandbox.http.page import form_to, page, web_address

TITLE = "Sandbox checkout"
SESSION_COOKIE = "sandbox_session"
ORIGIN_MAX_CHARS = 256
_SCRIPT = Path(__file__).with_name("checkout.js").read_text(encoding="utf-8")
_NO_SCRIPT = (
    '<noscript><form method="post" action="/checkout/device">'
    "<button>Go on without scripts</button></form></noscript>"
)


def routes() -> list[web.RouteDef]:
    """Return every route; they stand beside the control API and ask for no token."""
    return [
        web.get("/checkout", show, allow_head=False),
        web.get("/checkout/checkout.js", script, allow_head=False),
        web.post("/checkout/device", device),
    ]


async def show(request: web.Request) -> web.Response:
    """`GET /checkout?origin=&return_url=&at_once=`: the page that captures the device.

    It tells the window that opened or framed it, if `origin` is that window's, and posts the form
    field `device` to `return_url`: at once, or when the payer presses the button.
    """
    query = query_of(request)
    origin = query.text("origin", most=ORIGIN_MAX_CHARS, default="")
    back = web_address("return_url", query.take("return_url")) if query.has("return_url") else ""
    at_once = query.choice("at_once", {"true", "false"}, default="false")
    query.end()
    if origin and (web_address("origin", origin).count("/") != 2 or "?" in origin):  # noqa: PLR2004
        raise invalid("origin", "origin must be a scheme, a host and a port: http://shop.example")
    accept = request.headers.get("Accept", "*/*")[:HEADER_MAX_CHARS]
    form = form_to(back, {"device": ""}, "Pay").replace("<form", "<form hidden", 1) if back else ""
    told = f'data-accept="{escape(accept)}" data-origin="{escape(origin)}" data-at_once="{at_once}"'
    body = (
        f'<pre id="result">…</pre>{form}{_NO_SCRIPT}'
        f'<script src="/checkout/checkout.js" {told}></script>'
    )
    response = page(TITLE, body, own_script=True, leaves=True)
    if SESSION_COOKIE not in request.cookies:
        session = secrets.token_urlsafe(24)
        response.set_cookie(SESSION_COOKIE, session, httponly=True, samesite="Lax")
    return response


async def script(_request: web.Request) -> web.Response:
    """`GET /checkout/checkout.js`."""
    return web.Response(
        text=_SCRIPT,
        content_type="text/javascript",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"},
    )


async def device(request: web.Request) -> web.Response:
    """`POST /checkout/device`: what the page's script knows, with what the server sees added."""
    if request.content_type == "application/x-www-form-urlencoded":
        accept = request.headers.get("Accept", "*/*")[:HEADER_MAX_CHARS]
        browser = scriptless_browser(request.headers, accept)
    else:
        fields = Fields(await json_body(request))
        accept = fields.text("acceptHeader", most=HEADER_MAX_CHARS)
        browser = read_browser(fields.take("browser"), accept)
        fields.end()
    session = request.cookies.get(SESSION_COOKIE, "")
    told = device_json(browser, address=request.remote or "", session=session)
    return answer({"device": told}, headers={"Cache-Control": "no-store"})
