"""What the cardholder's browser meets at the ACS: the method page and the challenge page."""

from __future__ import annotations

import asyncio
from html import escape

from aiohttp import web

from cashier_sandbox.domain.authentication import Authentication, TransStatus
from cashier_sandbox.domain.card_script import Case
from cashier_sandbox.domain.currency import in_major
from cashier_sandbox.flows.authenticate import (
    APPROVED,
    CANCELLED,
    FAILED,
    Verdict,
    answer_challenge,
    found,
    open_challenge,
)
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import ConnectionCut, invalid
from cashier_sandbox.http.fields import Fields
from cashier_sandbox.http.page import SUBMIT_AT_ONCE, form_to, page, web_address
from cashier_sandbox.processors.acs.currencies import ALPHABETIC
from cashier_sandbox.processors.acs.request import ID_CHARS
from cashier_sandbox.processors.acs.wire import challenge_result, decoded, encoded
from cashier_sandbox.processors.native.challenge import TITLE

SESSION_MAX_CHARS = 1_024
SEE_OTHER = 303
LEAVE = "leave"
_VERDICTS: dict[str, Verdict] = {"approve": APPROVED, "fail": FAILED, "cancel": CANCELLED}
_BROKEN = Verdict(status=TransStatus.UNAVAILABLE, reason="22", cancel="06")
_BUTTONS = """<form method="post">
<button class="first" name="outcome" value="approve">Approve</button>
<button name="outcome" value="fail">Wrong code</button>
<button name="outcome" value="cancel">Cancel</button>
<button name="outcome" value="leave">Walk away</button></form>"""


async def run_method(desk: Desk, request: web.Request) -> web.Response:
    """`POST /acs/method`: the hidden frame in which an ACS looks at the browser, then reports."""
    asked = decoded("threeDSMethodData", (await request.post()).get("threeDSMethodData"))
    fields = Fields(asked)
    authentication = found(desk, fields.text("threeDSServerTransID", most=ID_CHARS))
    name = "threeDSMethodNotificationURL"
    notify = web_address(name, fields.take(name))
    script = authentication.script
    if script.case is Case.METHOD_DEAD:
        raise ConnectionCut
    if script.case is Case.METHOD_SLOW:
        await asyncio.sleep(script.wait_ms / 1000)
    done = encoded({"threeDSServerTransID": authentication.id})
    form = form_to(notify, {"threeDSMethodData": done}, "Continue")
    return page(TITLE, form, script=SUBMIT_AT_ONCE, leaves=True)


async def start_challenge(desk: Desk, request: web.Request) -> web.Response:
    """`POST /acs/challenge` with the form fields `creq` and `threeDSSessionData`: to the page."""
    form = await request.post()
    creq, session = decoded("creq", form.get("creq")), form.get("threeDSSessionData", "")
    if not isinstance(session, str) or len(session) > SESSION_MAX_CHARS:
        raise invalid(
            "threeDSSessionData",
            f"threeDSSessionData must be a text of at most {SESSION_MAX_CHARS} characters",
        )
    fields = Fields(creq)
    authentication = _by_acs_id(desk, fields.text("acsTransID", most=ID_CHARS))
    if fields.take("threeDSServerTransID") != authentication.id:
        raise invalid("creq", "creq names two authentications")
    script = authentication.script
    if script.case is Case.CHALLENGE_DEAD:
        raise ConnectionCut
    if script.case is Case.CHALLENGE_SLOW:
        await asyncio.sleep(script.wait_ms / 1000)
    open_challenge(desk, authentication.id, session)
    # A page of its own that a reload asks for again, instead of posting the CReq once more.
    location = f"/acs/challenges/{authentication.acs_id}"
    return web.Response(status=SEE_OTHER, headers={"Location": location})


async def show_challenge(desk: Desk, request: web.Request) -> web.Response:
    """`GET /acs/challenges/{acsTransID}`: approve, fail, cancel or walk away."""
    authentication = _by_acs_id(desk, request.match_info["id"])
    if not _undecided(authentication):
        return _way_back(authentication, at_once=False)
    return page(TITLE, f"{_facts(authentication)}{_BUTTONS}")


async def answer(desk: Desk, request: web.Request) -> web.Response:
    """`POST /acs/challenges/{acsTransID}` with `outcome`: decide once, then back to the shop."""
    authentication = _by_acs_id(desk, request.match_info["id"])
    fields = Fields(dict(await request.post()))
    outcome = fields.choice("outcome", {*_VERDICTS, LEAVE})
    fields.end()
    if outcome == LEAVE and _undecided(authentication):
        return page(TITLE, "<p>You have left. The bank waits until its time is over.</p>")
    if authentication.session_data is None and authentication.is_open:
        raise invalid("creq", "the challenge was not started: no CReq has come")
    broken = authentication.script.case is Case.CHALLENGE_ERROR
    verdict = _BROKEN if broken else _VERDICTS.get(outcome, CANCELLED)
    return _way_back(answer_challenge(desk, authentication.id, verdict), at_once=True)


def _undecided(authentication: Authentication) -> bool:
    return authentication.is_open and authentication.shown is None


def _by_acs_id(desk: Desk, acs_id: str) -> Authentication:
    name = desk.book.challenges.get(acs_id)
    if name is None:
        raise not_found("challenge", acs_id)
    return found(desk, name)


def _facts(authentication: Authentication) -> str:
    asked = authentication.asked
    currency = ALPHABETIC[asked["purchaseCurrency"]]
    amount = in_major(int(asked["purchaseAmount"]), currency)
    return (
        f"<p>Is this you?</p><dl><dt>Shop</dt><dd>{escape(asked['merchantName'])}</dd>"
        f'<dt>Amount</dt><dd id="amount">{amount} {currency}</dd>'
        f"<dt>Card</dt><dd>{authentication.script.scheme.title()}</dd></dl>"
    )


def _way_back(authentication: Authentication, *, at_once: bool) -> web.Response:
    """The CRes goes through the browser, so it proves nothing: the RReq has the result."""
    fields = {"cres": challenge_result(authentication)}
    if authentication.session_data:
        fields["threeDSSessionData"] = authentication.session_data
    form = form_to(authentication.asked["notificationURL"], fields, "Back to the shop")
    body = f"<p>The bank has your answer.</p>{form}"
    return page(TITLE, body, script=SUBMIT_AT_ONCE if at_once else "", leaves=True)
