"""`POST /pal/servlet/Payout/v68/payout`: money to a card; the webhook says what became of it."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.domain.charge import Payout
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.script import Verdict, behaviour_of
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.operate import Wish, create_payout
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.fields import Fields, json_body
from cashier_sandbox.processors.adyen import known
from cashier_sandbox.processors.adyen.amounts import take_amount
from cashier_sandbox.processors.adyen.errors import rejected, required
from cashier_sandbox.processors.adyen.order import ignore, order_of, take_merchant, take_reference
from cashier_sandbox.processors.adyen.pay import checked_token
from cashier_sandbox.processors.adyen.wire import payout_json, said

DESTINATION = "selectedRecurringDetailReference"


async def post_payout(desk: Desk, request: web.Request) -> web.Response:
    """Send money to the card behind `selectedRecurringDetailReference`, which is a token."""
    body = await json_body(request)
    fields = Fields(body)
    take_merchant(desk, fields)
    amount, currency = take_amount(fields, desk.account.currencies)
    reference = take_reference(fields)
    if not reference:
        raise required("130", "reference")
    if fields.take("card", None) is not None:
        raise rejected("101", "Invalid card number: send a token, never a card", "card")
    token = checked_token(DESTINATION, fields.take(DESTINATION, None))
    ignore(fields, known.PAYOUT)
    fields.end()
    behaviour = behaviour_of(token, amount)
    if behaviour is None or behaviour.verdict is Verdict.ACTION:
        raise Refused(Code.UNKNOWN_TOKEN, "", DESTINATION)
    ask = Ask(operation=Operation.PAYOUT, token=token, currency=currency, amount=amount)
    wish = Wish(reference=reference, metadata={})
    done = await create_payout(desk, order_of(desk, request, body, ask), wish)
    payout = done.spent.resource
    if not isinstance(payout, Payout):
        raise TypeError("a payout made something that is no payout")
    return said(request, payout_json(payout))
