"""Stripe's webhooks as the imitation sends them: signed, repeated, and sometimes naughty."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import stripe
from aiohttp import web

from tests.support.sandbox_stripe import a_payment, running_stripe, stripe_client

WAIT_S = 15.0


class Receiver:
    """A merchant's endpoint: keeps what arrives, and refuses the first `refuse` of them."""

    def __init__(self) -> None:
        self.url = ""
        self.refuse = 0
        self.posts: list[tuple[bytes, str]] = []
        self._arrived = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        body, signature = await request.read(), request.headers["Stripe-Signature"]
        async with self._arrived:
            self.posts.append((body, signature))
            self._arrived.notify_all()
        if len(self.posts) <= self.refuse:
            return web.Response(status=500)
        return web.Response(status=200)

    async def until(self, count: int) -> list[tuple[bytes, str]]:
        async with asyncio.timeout(WAIT_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.posts) >= count)
        return self.posts


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture
async def api(sandbox) -> AsyncIterator[Any]:
    async with stripe_client(sandbox) as client:
        yield client.v1
        async with sandbox.control() as control:
            await control.post("/control/reset", {"ledger": True})


async def mischief(sandbox, **what):
    async with sandbox.control() as control:
        status, body, _ = await control.ask("PUT", "/control/accounts/stripe/notices", what)
    assert 200 == status, body


def events(posts, secret) -> list[Any]:
    """The events of what arrived; fails on one that is not signed with the secret."""
    return [
        stripe.Webhook.construct_event(body, signature, secret, api_key="sk_test_x")
        for body, signature in posts
    ]


async def subscribed(api, receiver, *kinds):
    return await api.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": list(kinds or ["*"])}
    )


async def test_a_payment_is_told_with_a_signature_that_stripes_library_accepts(api):
    async with receiving() as receiver:
        endpoint = await subscribed(api, receiver)
        paid = await api.payment_intents.create_async(a_payment("op/told"))
        told = events(await receiver.until(3), endpoint.secret)

    assert {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"} == {
        event.type for event in told
    }
    [succeeded] = [event for event in told if event.type == "payment_intent.succeeded"]
    assert (paid.id, "succeeded") == (succeeded.data.object.id, succeeded.data.object.status)
    with pytest.raises(stripe.SignatureVerificationError):
        events(receiver.posts, "whsec_other")
    body, signature = receiver.posts[0]
    with pytest.raises(stripe.SignatureVerificationError):
        events([(body + b" ", signature)], endpoint.secret)


async def test_an_event_shows_things_as_they_stood_then(api, sandbox):
    async with receiving() as receiver:
        endpoint = await subscribed(api, receiver, "payment_intent.amount_capturable_updated")
        await mischief(sandbox, withhold=True)
        intent = await api.payment_intents.create_async(
            a_payment("op/then", capture_method="manual")
        )
        await api.payment_intents.cancel_async(intent.id)
        await asyncio.sleep(0.2)
        assert [] == receiver.posts
        await mischief(sandbox)
        [event] = events(await receiver.until(1), endpoint.secret)

    assert ("requires_capture", 1250) == (
        event.data.object.status,
        event.data.object.amount_capturable,
    )


async def test_an_authentication_ends_with_a_webhook(api, sandbox):
    async with receiving() as receiver:
        endpoint = await subscribed(
            api, receiver, "payment_intent.requires_action", "payment_intent.succeeded"
        )
        intent = await api.payment_intents.create_async(
            a_payment("op/3ds", payment_method="pm_card_authenticationRequired")
        )
        page = intent.next_action.redirect_to_url.url
        async with sandbox.control() as browser:
            await browser.post(page, {"outcome": "approve"})
        told = events(await receiver.until(2), endpoint.secret)

    assert {"requires_action", "succeeded"} == {event.data.object.status for event in told}


async def test_a_receiver_who_fails_is_told_again(api):
    async with receiving() as receiver:
        receiver.refuse = 2
        endpoint = await subscribed(api, receiver, "payment_intent.succeeded")
        await api.payment_intents.create_async(a_payment("op/again"))
        told = events(await receiver.until(3), endpoint.secret)

    assert 1 == len({event.id for event in told})


async def test_notices_can_come_doubled_scattered_and_forged(api, sandbox):
    async with receiving() as receiver:
        endpoint = await subscribed(api, receiver, "payment_intent.succeeded")
        await mischief(
            sandbox, double_ppm=1_000_000, forge_ppm=1_000_000, foreign_ppm=1_000_000,
            scatter_ms=300,
        )  # fmt: skip
        made = []
        for number in range(6):
            intent = await api.payment_intents.create_async(a_payment(f"op/naughty-{number}"))
            made.append(intent.id)
        posts = await receiver.until(24)

    genuine, forged = [], 0
    for post in posts:
        try:
            genuine += events([post], endpoint.secret)
        except stripe.SignatureVerificationError:
            forged += 1
    told = [event.data.object.id for event in genuine]
    assert (12, 12, set(made)) == (len(told), forged, set(told))
    assert list(dict.fromkeys(told)) != made


async def test_a_deleted_endpoint_hears_nothing_and_the_list_still_tells(api):
    async with receiving() as receiver:
        endpoint = await subscribed(api, receiver)
        await api.webhook_endpoints.delete_async(endpoint.id)
        paid = await api.payment_intents.create_async(a_payment("op/deaf"))
        await asyncio.sleep(0.2)

    listed = (await api.events.list_async({"type": "payment_intent.*"})).data
    assert [] == receiver.posts
    assert paid.id in {event.data.object["id"] for event in listed}


async def test_one_notice_can_be_sent_again(api, sandbox):
    async with receiving() as receiver:
        async with sandbox.control() as control:
            made = await control.post(
                "/control/accounts/stripe/endpoints",
                {"url": receiver.url, "secret": "whsec_mine", "types": ["payout.paid"]},
            )
        await api.payouts.create_async(
            {"amount": 100, "currency": "eur", "destination": "tok_ok.joe"}
        )
        [event] = events(await receiver.until(1), "whsec_mine")
        async with sandbox.control() as control:
            await control.post("/control/accounts/stripe/notices", {"notice": event.id})
            told = events(await receiver.until(2), "whsec_mine")
            facts = await control.get("/control/accounts/stripe/notices")

    assert "whsec_mine" == made["secret"]
    assert 1 == len({one.id for one in told})
    assert [made["id"]] == [one["id"] for one in facts["endpoints"]]


async def test_endpoints_survive_a_crash(tmp_path):
    async with receiving() as receiver:
        with running_stripe(tmp_path) as sandbox:
            async with stripe_client(sandbox) as client:
                endpoint = await subscribed(client.v1, receiver, "payment_intent.succeeded")
            sandbox.kill()
            sandbox.start()
            async with stripe_client(sandbox) as client:
                await client.v1.payment_intents.create_async(a_payment("op/later"))
            [event] = events(await receiver.until(1), endpoint.secret)

    assert "payment_intent.succeeded" == event.type
