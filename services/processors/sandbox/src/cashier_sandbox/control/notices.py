"""Where notices go, what goes wrong with them, and sending one again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from cashier_sandbox.control.branch import Branch
from cashier_sandbox.domain.chance import LATENCY_MAX_MS, MILLION_PPM
from cashier_sandbox.domain.notice import EVERY_TYPE, Endpoint, Mischief, Trick
from cashier_sandbox.flows.deliver_notice import Deliveries
from cashier_sandbox.flows.desk import not_found
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.flows.register_endpoint import (
    SECRET_MAX_CHARS,
    TYPE_MAX_CHARS,
    TYPES_MAX,
    URL_MAX_CHARS,
    endpoint_draft,
    new_endpoint_id,
    remove_endpoint,
)
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import TOKEN_MAX_CHARS, Fields, checked_text, json_body

SHARES = ("double_ppm", "forge_ppm", "foreign_ppm", "astray_ppm", "alter_ppm")


async def post_endpoint(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/accounts/{account}/endpoints`."""
    counter = branch.counter(request.match_info["account"])
    deliveries = _deliveries(branch, request)
    fields = Fields(await json_body(request))
    url = fields.text("url", most=URL_MAX_CHARS)
    name = new_endpoint_id(counter.desk)
    secret = fields.text("secret", most=SECRET_MAX_CHARS, default=deliveries.face.secret(name))
    types = fields.take("types", [EVERY_TYPE])
    fields.end()
    if not isinstance(types, list) or not 1 <= len(types) <= TYPES_MAX:
        raise invalid("types", f"types must be a list of 1 to {TYPES_MAX} strings")
    named = [checked_text("types", type_, most=TYPE_MAX_CHARS) for type_ in types]
    counter.desk.ledger.record(
        endpoint_draft(counter.desk, name, url=url, secret=secret, types=named)
    )
    return answer(_endpoint(counter.desk.book.endpoints[name]), status=201)


async def get_notices(branch: Branch, request: web.Request) -> web.Response:
    """`GET /control/accounts/{account}/notices`."""
    deliveries = _deliveries(branch, request)
    desk = branch.counter(request.match_info["account"]).desk
    return answer(
        {
            "endpoints": [_endpoint(endpoint) for endpoint in desk.book.endpoints.values()],
            "mischief": asdict(desk.conditions.mischief),
            "outstanding": deliveries.outstanding,
            "delivered": deliveries.tally.delivered,
            "given_up": deliveries.tally.given_up,
            "falsely_taken": deliveries.tally.falsely_taken,
            "tricks": {trick.value: deliveries.tally.tricks[trick] for trick in Trick},
        }
    )


async def delete_endpoint(branch: Branch, request: web.Request) -> web.Response:
    """`DELETE /control/accounts/{account}/endpoints/{id}`."""
    remove_endpoint(branch.counter(request.match_info["account"]).desk, request.match_info["id"])
    return answer({"id": request.match_info["id"], "deleted": True})


async def put_mischief(branch: Branch, request: web.Request) -> web.Response:
    """`PUT /control/accounts/{account or *}/notices`."""
    body = await json_body(request)
    fields = Fields(body)
    mischief = Mischief(
        late_ms=fields.integer("late_ms", least=0, most=LATENCY_MAX_MS, default=0),
        scatter_ms=fields.integer("scatter_ms", least=0, most=LATENCY_MAX_MS, default=0),
        withhold=fields.flag("withhold", default=False),
        **{share: fields.integer(share, least=0, most=MILLION_PPM, default=0) for share in SHARES},
    )
    fields.end()
    for counter in branch.chosen(request.match_info["account"]):
        counter.desk.conditions.mischief = mischief
        if counter.deliveries:
            counter.deliveries.mind()
    return answer(body)


async def resend(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/accounts/{account}/notices` with `{"notice": id}`: once more."""
    deliveries = _deliveries(branch, request)
    fields = Fields(await json_body(request))
    name = fields.text("notice", most=TOKEN_MAX_CHARS)
    fields.end()
    desk = branch.counter(request.match_info["account"]).desk
    for news in reversed(desk.book.news):
        for notice in deliveries.face.write(desk, news):
            if notice.id == name:
                deliveries.send(notice)
                return answer({"notice": name, "type": notice.type}, status=201)
    raise not_found("notice", name)


def _deliveries(branch: Branch, request: web.Request) -> Deliveries:
    deliveries = branch.counter(request.match_info["account"]).deliveries
    if deliveries is None:
        raise Refused(
            Code.STATE_REFUSED, "the API that this account imitates sends no notices", "account"
        )
    return deliveries


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "secret": endpoint.secret,
        "types": endpoint.types,
        "created_at": endpoint.created_at,
    }
