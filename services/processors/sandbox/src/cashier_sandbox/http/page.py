"""The pages that payers see: one look for every imitated API, and a policy that lets little in."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from urllib.parse import urlsplit

from aiohttp import web

from cashier_sandbox.flows.refusals import invalid

URL_MAX_CHARS = 2_048
_STYLE = """body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1c2733}
main{max-width:26rem;margin:3rem auto;padding:1.5rem 2rem;background:#fff;border-radius:.6rem;
box-shadow:0 1px 4px #0003}h1{font-size:1.25rem;margin:0 0 1rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem}dt{color:#5b6770}dd{margin:0}
button{font:inherit;padding:.5rem 1rem;margin:.3rem .6rem .3rem 0;border:1px solid #9aa5b1;
border-radius:.4rem;background:#fff;cursor:pointer}button.first{background:#0b5fff;color:#fff;
border-color:#0b5fff}pre{white-space:pre-wrap;word-break:break-all;font-size:.8rem}"""
SUBMIT_AT_ONCE = "document.forms[0].submit()"


def page(
    title: str, body: str, *, script: str = "", own_script: bool = False, leaves: bool = False
) -> web.Response:
    """Return a page; `body` is HTML, what came from outside escaped by the caller.

    `script` is the one script that may run: a constant, allowed by its hash. `own_script`: one that
    the body loads from this server, and that may ask this server. `leaves`: its forms may lead away
    from the sandbox, where they may lead on.
    """
    rules = ["default-src 'none'", "base-uri 'none'", f"style-src {_hash(_STYLE)}"]
    rules += [f"script-src {_hash(script)}"] if script else []
    rules += ["script-src 'self'", "connect-src 'self'"] if own_script else []
    # Where a form leads is held against redirects too, so what leaves cannot be named in full.
    rules.append("form-action http: https:" if leaves else "form-action 'self'")
    run = f"<script>{script}</script>" if script else ""
    return web.Response(
        text=(
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{escape(title)}</title><style>{_STYLE}</style>"
            f"<main><h1>{escape(title)}</h1>{body}</main>{run}</html>"
        ),
        content_type="text/html",
        headers={
            "Content-Security-Policy": "; ".join(rules),
            "Cache-Control": "no-store",  # the back button asks again instead of showing the past
            "X-Content-Type-Options": "nosniff",
        },
    )


def form_to(url: str, fields: Mapping[str, str], label: str) -> str:
    """Return a form that posts the fields somewhere else; its button needs no script."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    return (
        f'<form method="post" action="{escape(url)}">{hidden}'
        f'<button class="first">{escape(label)}</button></form>'
    )


def web_address(name: str, value: object) -> str:
    """Return an address that a browser may be sent to; refused without http or https."""
    if isinstance(value, str) and 0 < len(value) <= URL_MAX_CHARS and value.isprintable():
        try:
            parts = urlsplit(value)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme in {"http", "https"} and parts.hostname and not parts.username:
            return value
    raise invalid(
        name, f"{name} must be an http or https URL of at most {URL_MAX_CHARS} characters"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
