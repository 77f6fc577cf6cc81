"""What Stripe's own library sends, and what the imitation answers, both held to Stripe's schema."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import stripe

from tests.support.openapi import Schema, published
from tests.support.sandbox_process import Sandbox
from tests.support.sandbox_stripe import SECRET, a_payment, base_url, running_stripe

# The library is a year newer than the schema that a registry has: it may send these besides.
NEWER_PARAMETERS = {
    "allowed_payment_method_types",
    "final_capture",
    "request_multicapture",
}
# And Stripe documents these in answers by now.
NEWER_PROPERTIES = {
    "error.advice_code",
    "enhanced_eligibility_types",
    "data.enhanced_eligibility_types",
    "payment_method_details",
    "data.payment_method_details",
}


class Recorder(stripe.AIOHTTPClient):
    """Stripe's HTTP client, which remembers what went over it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(session=session, timeout=20)
        self.exchanges: list[tuple[str, str, str, int, Any]] = []

    async def request_async(self, method, url, headers, post_data=None):
        content, status, answered = await super().request_async(method, url, headers, post_data)
        parts = urlsplit(url)
        sent = post_data or "" if method == "post" else parts.query
        self.exchanges.append((method, parts.path, sent, status, json.loads(content)))
        assert answered["Request-Id"].startswith("req_")
        assert answered["Stripe-Version"] == headers["Stripe-Version"]
        return content, status, answered


@pytest.fixture(scope="module")
def schema() -> Schema:
    return published("stripe.com.json")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with aiohttp.ClientSession() as session:
        yield Recorder(session)


@pytest.fixture
def api(sandbox, recorder) -> Any:
    return stripe.StripeClient(
        SECRET,
        base_addresses={"api": base_url(sandbox)},
        max_network_retries=0,
        http_client=recorder,
    ).v1


def faults_of(schema: Schema, recorder: Recorder) -> list[str]:
    """Everything that the schema holds against what was recorded."""
    assert recorder.exchanges
    found = []
    for method, path, sent, status, body in recorder.exchanges:
        judge = schema.form_faults if method == "post" else schema.query_faults
        asked = [] if method == "delete" else judge(path, sent)
        asked = [one for one in asked if not any(f"'{name}'" in one for name in NEWER_PARAMETERS)]
        told = schema.answer_faults(method, path, status, body)
        told = [one for one in told if one.split(" ")[0] not in NEWER_PROPERTIES]
        found += [f"{method} {path} {status}: {fault}" for fault in asked + told]
    return found


async def refused(asking: Any) -> stripe.StripeError:
    with pytest.raises(stripe.StripeError) as caught:
        await asking
    return caught.value


async def test_intents_in_every_state(schema, recorder, api):
    intents = api.payment_intents
    paid = await intents.create_async(
        a_payment("op/1", off_session=True, statement_descriptor_suffix="ORDER 1")
    )
    bare = await intents.create_async({"amount": 1250, "currency": "eur"})
    held = await intents.create_async(
        a_payment("op/2", capture_method="manual", allowed_payment_method_types=["card"])
    )
    action = await intents.create_async(
        a_payment(
            "op/3",
            payment_method="pm_card_authenticationRequired",
            return_url="https://shop.example/back",
        )
    )
    pending = await intents.create_async(a_payment("op/4", payment_method="tok_pending"))
    await refused(intents.create_async(a_payment("op/5", payment_method="tok_decline_soft")))
    await intents.confirm_async(bare.id, {"payment_method": "pm_card_mastercard"})
    await intents.capture_async(held.id, {"amount_to_capture": 700, "metadata": {"a": "b"}})
    options = {"card": {"request_multicapture": "if_available"}}
    parts = await intents.create_async(
        a_payment("op/2b", capture_method="manual", payment_method_options=options)
    )
    await intents.capture_async(parts.id, {"amount_to_capture": 700, "final_capture": False})
    await intents.cancel_async(action.id, {"cancellation_reason": "abandoned"})
    for intent in (paid, bare, held, parts, action, pending):
        await intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    await intents.list_async({"limit": 3, "created": {"gte": 1}, "starting_after": paid.id})
    await intents.search_async({"query": "metadata['cashier_operation']:'op/1'"})

    assert [] == faults_of(schema, recorder)


async def test_refunds_charges_and_disputes(schema, recorder, api, sandbox):
    paid = await api.payment_intents.create_async(a_payment("op/6"))
    refund = await api.refunds.create_async(
        {"payment_intent": paid.id, "amount": 250, "reason": "requested_by_customer"}
    )
    await api.refunds.retrieve_async(refund.id)
    await api.refunds.list_async({"payment_intent": paid.id})
    async with sandbox.control() as control:
        await control.post(f"/control/charges/{paid.latest_charge}/chargeback", {"amount": 300})
        await control.post(f"/control/charges/{paid.latest_charge}/chargeback", {"amount": 100})
    won, lost = (await api.disputes.list_async({"payment_intent": paid.id})).data
    await api.disputes.update_async(
        won.id, {"evidence": {"uncategorized_text": "a"}, "submit": False}
    )
    await api.disputes.update_async(
        won.id, {"evidence": {"uncategorized_text": "winning_evidence"}}
    )
    await api.disputes.close_async(lost.id)
    assert ["won", "lost"] == [
        (await api.disputes.retrieve_async(one.id)).status for one in (won, lost)
    ]
    await api.charges.retrieve_async(
        paid.latest_charge, {"expand": ["balance_transaction", "payment_intent"]}
    )
    await api.charges.list_async({"payment_intent": paid.id})

    assert [] == faults_of(schema, recorder)


async def test_payouts_balance_and_its_transactions(schema, recorder, api, sandbox):
    await api.payment_intents.create_async(a_payment("op/7"))
    params = {"amount": 300, "currency": "eur", "destination": "tok_ok.joe", "method": "instant"}
    payout = await api.payouts.create_async(params)
    await api.payouts.create_async(params | {"destination": "tok_decline_invalid_account"})
    await api.payouts.create_async(params | {"destination": "tok_pending"})
    await api.payouts.retrieve_async(payout.id, {"expand": ["balance_transaction"]})
    await api.payouts.list_async({"status": "paid"})
    await api.balance.retrieve_async()
    async with sandbox.control() as control:
        settled = await control.post("/control/accounts/stripe/settlements")
    batch = settled["payouts"]["EUR"]
    await api.payouts.retrieve_async(batch)
    lines = await api.balance_transactions.list_async({"payout": batch, "expand": ["data.source"]})
    await api.balance_transactions.list_async({"type": "charge", "limit": 1})
    await api.balance_transactions.retrieve_async(lines.data[0].id)

    assert [] == faults_of(schema, recorder)


async def test_events_and_webhook_endpoints(schema, recorder, api):
    intent = await api.payment_intents.create_async(a_payment("op/8"))
    endpoint = await api.webhook_endpoints.create_async(
        {"url": "http://127.0.0.1:9/hook", "enabled_events": ["payout.paid"]}
    )
    await api.webhook_endpoints.retrieve_async(endpoint.id)
    await api.webhook_endpoints.list_async()
    await api.webhook_endpoints.delete_async(endpoint.id)
    events = await api.events.list_async({"types": ["payment_intent.succeeded"], "limit": 100})
    await api.events.list_async({"type": "charge.*", "limit": 100})
    await api.events.retrieve_async(events.data[0].id)

    assert intent.id in {event.data.object["id"] for event in events.data}
    assert [] == faults_of(schema, recorder)
    kinds = {"payment_intent": "payment_intent", "charge": "charge", "payout": "payout"}
    for event in (await api.events.list_async({"limit": 100})).data:
        told = event.to_dict()["data"]["object"]
        if told["object"] in kinds:
            assert [] == schema.component_faults(told["object"], told)


async def test_refusals_look_like_stripes(schema, recorder, api):
    intents = api.payment_intents
    paid = await intents.create_async(a_payment("op/9"))
    bad = (
        intents.create_async({"amount": 1250, "currency": "xxx"}),
        intents.create_async(a_payment("op/10", payment_method="pm_nobody")),
        intents.create_async(a_payment("op/11", amount=1)),
        intents.create_async(a_payment("op/12", payment_method="pm_card_visa_chargeDeclined")),
        intents.create_async(a_payment("op/13", payment_method="tok_500_before")),
        intents.create_async(a_payment("op/14", payment_method="tok_rate_limited")),
        intents.capture_async(paid.id),
        intents.retrieve_async("pi_nobody"),
        api.refunds.create_async({"payment_intent": paid.id, "amount": 99_999}),
    )

    kinds = [type(await refused(asking)).__name__ for asking in bad]

    assert [
        *("InvalidRequestError", "InvalidRequestError", "InvalidRequestError", "CardError"),
        *("APIError", "RateLimitError", "InvalidRequestError", "InvalidRequestError"),
        "InvalidRequestError",
    ] == kinds
    assert [] == faults_of(schema, recorder)


def test_the_schema_is_not_asked_in_vain(schema):
    """A check that cannot fail is no check."""
    intents = "/v1/payment_intents"
    charge = {"object": "payment_intent", "id": "pi_1", "amount": "12"}

    assert schema.form_faults(intents, "amount=1")
    assert schema.form_faults(intents, "amount=1&currency=eur&nonsense=1")
    assert schema.form_faults(intents, "amount=x&currency=eur")
    assert not schema.form_faults(intents, "amount=1&currency=eur&metadata[a]=b&expand[0]=x")
    assert schema.query_faults(intents, "nonsense=1")
    assert schema.answer_faults("post", intents, 200, charge)
    assert "nonsense is in no schema" in schema.answer_faults(
        "post", intents, 402, {"error": {"type": "card_error"}, "nonsense": 1}
    )
