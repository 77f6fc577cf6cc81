"""`/v1/events` and `/v1/webhook_endpoints`: what happened, and who wants to be told."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.entry import Draft
from cashier_sandbox.domain.notice import Endpoint
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.perform import perform
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.flows.register_endpoint import (
    TYPES_MAX,
    URL_MAX_CHARS,
    endpoint_draft,
    new_endpoint_id,
    remove_endpoint,
)
from cashier_sandbox.http.answers import answer
from cashier_sandbox.processors.stripe.dispute_objects import endpoint_json
from cashier_sandbox.processors.stripe.events import FACE, events_of
from cashier_sandbox.processors.stripe.form import form_of, refuse
from cashier_sandbox.processors.stripe.lists import Page
from cashier_sandbox.processors.stripe.params import Params
from cashier_sandbox.processors.stripe.requests import asked, done_answer


async def list_events(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/events`, by `type` (with `*` at its end) or `types[]`."""
    params = Params(await form_of(request))
    page = Page(params)
    kind, kinds = params.text("type", default=""), params.texts("types", most=TYPES_MAX)
    params.end()
    if kind and kinds:
        raise refuse("types", "type and types cannot be used together.", "parameter_invalid")

    def wanted(event: dict[str, Any]) -> bool:
        named: str = event["type"]
        if kind.endswith("*"):
            return named.startswith(kind[:-1])
        return (not kind or named == kind) and (not kinds or named in kinds)

    told = (
        (news, event)
        for news in reversed(desk.book.news)
        for event in reversed(events_of(desk, news))
        if wanted(event)
    )
    return answer(
        page.answer(
            desk,
            request.path,
            told,
            name=lambda pair: str(pair[1]["id"]),
            at=lambda pair: pair[0].entry.at,
            body=lambda pair: pair[1],
        )
    )


async def get_event(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/events/{id}`."""
    params, name = Params(await form_of(request)), request.match_info["id"]
    params.end()
    for news in reversed(desk.book.news):
        for event in events_of(desk, news):
            if event["id"] == name:
                return answer(event)
    raise Refused(Code.NOT_FOUND, f"No such event: '{name}'", "id")


async def post_endpoint(desk: Desk, request: web.Request) -> web.Response:
    """`POST /v1/webhook_endpoints`: the answer alone tells the secret."""
    ask = await asked(request)
    params = ask.params
    url = params.text("url", most=URL_MAX_CHARS)
    types = params.texts("enabled_events", most=TYPES_MAX)
    params.text("description", default="")
    params.text("api_version", default="")
    params.metadata()
    params.end()
    if not types:
        raise refuse(
            "enabled_events", "Missing required param: enabled_events.", "parameter_missing"
        )
    order = ask.order(Operation.ENDPOINT, token="", currency="", amount=0)

    def effect(_: object) -> Draft:
        name = new_endpoint_id(desk)
        return endpoint_draft(
            desk,
            name,
            url=url,
            secret=FACE.secret(name),
            types=types,
            key=order.key,
            fingerprint=order.fingerprint,
        )

    return done_answer(desk, await perform(desk, order, effect), params.expand)


async def get_endpoint(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/webhook_endpoints/{id}`."""
    Params(await form_of(request)).end()
    return answer(endpoint_json(_endpoint(desk, request), secret=False))


async def delete_endpoint(desk: Desk, request: web.Request) -> web.Response:
    """`DELETE /v1/webhook_endpoints/{id}`."""
    Params(await form_of(request)).end()
    name = _endpoint(desk, request).id
    remove_endpoint(desk, name)
    return answer({"id": name, "object": "webhook_endpoint", "deleted": True})


async def list_endpoints(desk: Desk, request: web.Request) -> web.Response:
    """`GET /v1/webhook_endpoints`."""
    params = Params(await form_of(request))
    page = Page(params)
    params.end()
    body = page.answer(
        desk,
        request.path,
        reversed(desk.book.endpoints.values()),
        name=lambda endpoint: endpoint.id,
        at=lambda endpoint: endpoint.created_at,
        body=lambda endpoint: endpoint_json(endpoint, secret=False),
    )
    return answer(body)


def _endpoint(desk: Desk, request: web.Request) -> Endpoint:
    endpoint = desk.book.endpoints.get(request.match_info["id"])
    if endpoint is None:
        raise Refused(
            Code.NOT_FOUND,
            f"No such webhook endpoint: '{request.match_info['id']}'",
            "webhook_endpoint",
        )
    return endpoint
