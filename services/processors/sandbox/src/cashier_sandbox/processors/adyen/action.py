"""What a payer has to do: the page to open, and the result that comes back from it."""

from __future__ import annotations

import base64
import hmac
from enum import StrEnum
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from cashier_sandbox.domain.charge import Charge
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import Fields, json_body
from cashier_sandbox.processors.adyen.errors import rejected

RETURN_URL_MAX_CHARS = 1_024
RESULT_MAX_CHARS = 20_000


class Step(StrEnum):
    """What a payer, or the payer's browser, has done."""

    FINGERPRINT = "fingerprint"
    APPROVE = "approve"
    DENY = "deny"


def redirect_json(desk: Desk, charge: Charge, return_url: str) -> dict[str, Any]:
    """Return the answer that sends the payer to the bank's page."""
    action = {
        "type": "redirect",
        "method": "GET",
        "paymentMethodType": "scheme",
        "url": _page(desk, charge, return_url),
    }
    return {"resultCode": "RedirectShopper", "action": action}


def identify_json(desk: Desk, charge: Charge) -> dict[str, Any]:
    """Return the answer that asks for the browser's fingerprint: `token` is the result to send."""
    return {
        "resultCode": "IdentifyShopper",
        "action": _three_ds(desk, charge, "fingerprint", sealed(desk, charge, Step.FINGERPRINT)),
    }


def challenge_json(desk: Desk, charge: Charge) -> dict[str, Any]:
    """Return the answer that asks for a challenge: its page answers with the result to send."""
    action = _three_ds(desk, charge, "challenge", sealed(desk, charge, Step.FINGERPRINT))
    return {"resultCode": "ChallengeShopper", "action": action | {"url": _page(desk, charge, "")}}


def sealed(desk: Desk, charge: Charge, step: Step) -> str:
    """Return a result that only this account can have made."""
    plain = f"{charge.id}.{step}"
    return base64.urlsafe_b64encode(f"{plain}.{_seal(desk, plain)}".encode()).decode()


def opened(desk: Desk, result: object) -> tuple[str, Step]:
    """Return the charge's id and the step of a result; refused if it was not made here."""
    text = result if isinstance(result, str) and len(result) <= RESULT_MAX_CHARS else ""
    try:
        plain, _, seal = base64.urlsafe_b64decode(text).decode().rpartition(".")
    except ValueError:
        plain, seal = "", ""
    if not plain or not hmac.compare_digest(seal.encode(), _seal(desk, plain).encode()):
        raise rejected(
            "101", "Invalid details: the result was not made for this account", "details"
        )
    name, _, step = plain.rpartition(".")
    return name, Step(step)


async def answer_challenge(desk: Desk, request: web.Request) -> web.Response:
    """`POST /challenges/{id}`: back to the merchant with the result, or the result as JSON."""
    charge = desk.book.charges.get(request.match_info["id"])
    if charge is None:
        raise not_found("charge", request.match_info["id"])
    form = request.content_type == "application/x-www-form-urlencoded"
    fields = Fields(dict(await request.post()) if form else await json_body(request))
    step = Step(fields.choice("outcome", {Step.APPROVE, Step.DENY}))
    fields.end()
    result = sealed(desk, charge, step)
    back = request.query.get("returnUrl", "")
    if back:
        return web.Response(status=303, headers={"Location": _with(back, "redirectResult", result)})
    return answer({"object": "challenge", "redirectResult": result, "threeDSResult": result})


def checked_return_url(value: object) -> str:
    """Return an address that a payer can be sent back to."""
    if isinstance(value, str) and 0 < len(value) <= RETURN_URL_MAX_CHARS and value.isprintable():
        return value
    raise invalid(
        "returnUrl", f"returnUrl must be a URL of at most {RETURN_URL_MAX_CHARS} characters"
    )


def _three_ds(desk: Desk, charge: Charge, subtype: str, token: str) -> dict[str, Any]:
    return {
        "type": "threeDS2",
        "subtype": subtype,
        "paymentMethodType": "scheme",
        "authorisationToken": _seal(desk, charge.id),
        "paymentData": _seal(desk, charge.id + subtype),
        "token": token,
    }


def _page(desk: Desk, charge: Charge, return_url: str) -> str:
    page = f"{desk.base_url}/challenges/{charge.id}"
    return f"{page}?{urlencode({'returnUrl': return_url})}" if return_url else page


def _with(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode({name: value}))))
    return urlunsplit(parts._replace(query=query))


def _seal(desk: Desk, text: str) -> str:
    return hmac.new(desk.account.api_key.encode(), text.encode(), sha256).hexdigest()
