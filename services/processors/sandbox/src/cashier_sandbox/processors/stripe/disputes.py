"""`/v1/disputes`: what payers' banks took back, and the merchant's answer."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.dispute import OPEN, Chargeback, DisputeStatus
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.perform import Done, perform
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.flows.take_back import close_dispute
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.stripe.dispute_objects import EVIDENCE_FIELDS, dispute_json
from cashier_sandbox.processors.stripe.expand import expanded
from cashier_sandbox.processors.stripe.form import FORM_VALUE_MAX_CHARS, form_of
from cashier_sandbox.processors.stripe.lists import Page
from cashier_sandbox.processors.stripe.params import Params
from cashier_sandbox.processors.stripe.requests import Asked, asked, done_answer

# Stripe's documented test evidence: as `uncategorized_text` it decides the dispute.
_DECIDING: dict[str, DisputeStatus] = {
    "winning_evidence": DisputeStatus.WON,
    "losing_evidence": DisputeStatus.LOST,
}


async def post_dispute(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/disputes/{id}`: evidence, handed in at once unless `submit` is false."""
    ask = await asked(request)
    params, dispute = ask.params, _dispute(desk, request)
    given = params.object("evidence")
    evidence = {
        name: given.text(name, most=FORM_VALUE_MAX_CHARS, default="")
        for name in EVIDENCE_FIELDS
        if name in given
    }
    given.end()
    submitted = params.flag("submit", default=True) and bool(evidence)
    metadata = params.metadata()
    params.end()
    detail = {"evidence": evidence, "metadata": metadata, "submitted": submitted}
    done = await _record(desk, ask, dispute, Kind.DISPUTE_EVIDENCE, detail)
    verdict = _DECIDING.get(evidence.get("uncategorized_text", ""))
    if submitted and verdict and desk.book.chargebacks[dispute.id].status in OPEN:
        close_dispute(desk, dispute.id, verdict)
    return done_answer(desk, done, params.expand)


async def post_close(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/disputes/{id}/close`: the merchant accepts it, so it is lost."""
    ask = await asked(request)
    dispute = _dispute(desk, request)
    ask.params.end()
    detail = {"status": DisputeStatus.LOST}
    done = await _record(desk, ask, dispute, Kind.DISPUTE_CLOSED, detail)
    return done_answer(desk, done, ask.params.expand)


async def get_dispute(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/disputes/{id}`."""
    params = Params(await form_of(request))
    params.end()
    return answer(expanded(desk, dispute_json(desk, _dispute(desk, request)), params.expand))


async def list_disputes(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/disputes`."""
    params = Params(await form_of(request))
    page = Page(params)
    charge = params.text("charge", default="")
    intent = params.text("payment_intent", default="")
    params.end()
    book = desk.book
    body = page.answer(
        desk,
        request.path,
        (
            dispute
            for dispute in reversed(book.chargebacks.values())
            if (not charge or dispute.charge == charge)
            and (not intent or book.charges[dispute.charge].intent == intent)
        ),
        name=lambda dispute: dispute.id,
        at=lambda dispute: dispute.created_at,
        body=lambda dispute: dispute_json(desk, dispute),
    )
    return answer(body)


async def _record(
    desk: Desk, ask: Asked, dispute: Chargeback, kind: Kind, detail: Mapping[str, object]
) -> Done:
    order = ask.order(Operation.DISPUTE, token="", currency=dispute.currency, amount=dispute.amount)

    def effect(_: object) -> Draft:
        if desk.book.chargebacks[dispute.id].status not in OPEN:
            raise Refused(Code.STATE_REFUSED, f"This dispute ({dispute.id}) is already closed.")
        return Draft(
            account=desk.account.name,
            kind=kind,
            id=dispute.id,
            charge=dispute.charge,
            key=order.key,
            reference=dispute.reference,
            currency=dispute.currency,
            detail={**detail, "fingerprint": order.fingerprint},
        )

    return await perform(desk, order, effect)


def _dispute(desk: Desk, request: web.Request) -> Chargeback:
    dispute = desk.book.chargebacks.get(request.match_info["id"])
    if dispute is None:
        raise Refused(Code.NOT_FOUND, f"No such dispute: '{request.match_info['id']}'", "dispute")
    return dispute
