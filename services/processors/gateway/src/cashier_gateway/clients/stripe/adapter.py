"""Speaks to one Stripe account through the official library, so that nothing is charged twice."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import aiohttp
import stripe
from opentelemetry import trace

from cashier_common.failpoints import hit
from cashier_gateway.clients.declines import Codes, load_codes
from cashier_gateway.clients.failures import (
    CONNECT_TIMEOUT_S,
    EXCHANGE_FAILURES,
    connector,
    failure_answer,
)
from cashier_gateway.clients.stripe.units import AmountNotExpressible
from cashier_gateway.clients.stripe.wire import (
    bare_intent_params,
    confirm_params,
    error_answer,
    intent_answer,
    intent_params,
    not_expressible,
)
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep

NAME: Final = "Stripe"
# A confirm and a cancel of one intent may cross; the second look sees who won.
CLOSE_TRIES: Final = 2
# What cannot charge any more without a confirm, and a confirm of a canceled intent is refused.
CANCELABLE: Final = frozenset({"requires_payment_method", "requires_confirmation"})

Intents: TypeAlias = stripe.PaymentIntentService

_tracer = trace.get_tracer("cashier_gateway")


class StripeProcessor:
    """PaymentIntents of one account.

    Where keys are honoured, create and confirm are one request under the call's key. Else the
    intent is created, its id committed in the call's row, and then confirmed: an intent is charged
    once at the most, and one that is in no row is never confirmed.
    """

    def __init__(self, account: ProcessorAccount, *, base_url: str, credential: str) -> None:
        self._codes: Codes = load_codes("stripe")
        self._refused = account.refused_fields
        self._honours_keys = account.honours_idempotency_keys
        self._timeout = aiohttp.ClientTimeout(
            total=account.timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, account.timeout_s)
        )
        self._base_url, self._credential = base_url.rstrip("/"), credential
        self._session: aiohttp.ClientSession | None = None
        self._client: stripe.StripeClient | None = None

    async def send(self, call: Call, keep: Keep) -> Answer:
        """Charge once: by the key, or by an intent that the row names."""
        try:
            if self._honours_keys:
                return await self._create_and_confirm(call)
            return await self._create_keep_confirm(call, keep)
        except AmountNotExpressible as error:
            return not_expressible(error, self._codes)

    async def look_up(self, call: Call) -> Answer:
        """Fetch the recorded intent; without one there is nothing that could be asked for."""
        if not call.reference:
            return Answer(Event.LOSE_TRACK, "no intent was recorded: the door has to be closed")
        return await self._answer(call, lambda at: at.retrieve_async(call.reference))

    async def close_door(self, call: Call) -> Answer:
        """Cancel the intent, or spend the key on a harmless one, or show that none is ours."""
        if call.reference:
            return await self._cancel(call, call.reference)
        if not self._honours_keys:
            # Only an intent that a row names is confirmed, and this row names none and is fenced.
            return Answer(Event.CLOSE, "no intent was recorded, so none was ever confirmed")
        return await self._spend_key(call)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _create_and_confirm(self, call: Call) -> Answer:
        params = intent_params(call, confirm=True, refused=self._refused)
        return await self._answer(
            call,
            lambda at: at.create_async(params, _key(call.downstream_key)),
        )

    async def _create_keep_confirm(self, call: Call, keep: Keep) -> Answer:
        reference = call.reference
        if not reference:
            params = intent_params(call, confirm=False, refused=self._refused)
            created = await self._answer(
                call,
                lambda at: at.create_async(params, _key(call.downstream_key)),
            )
            if created.event is not Event.LOSE_TRACK or not created.reference:
                return created
            await hit("gateway.after_create")
            reference = created.reference
            await keep(reference)
        confirming = confirm_params(call, refused=self._refused)
        confirmed = await self._answer(
            call,
            lambda at: at.confirm_async(
                reference, confirming, _key(f"{call.downstream_key}-confirm")
            ),
            reference,
        )
        if confirmed.event is Event.DECLINE_HARD and confirmed.of_request:
            # Refused in its state: it was confirmed before. The intent itself knows.
            return await self._answer(call, lambda at: at.retrieve_async(reference), reference)
        return confirmed

    async def _cancel(self, call: Call, reference: str) -> Answer:
        seen = Answer(Event.LOSE_TRACK, "the intent could not be fetched", reference)
        for _ in range(CLOSE_TRIES):
            status: list[str] = []

            async def look(at: Intents, into: list[str] = status) -> stripe.PaymentIntent:
                intent = await at.retrieve_async(reference)
                into.append(intent.status)
                return intent

            seen = await self._answer(call, look, reference)
            if not status or status[0] not in CANCELABLE or seen.event is Event.CONFLICT:
                return seen
            canceled = await self._answer(call, lambda at: at.cancel_async(reference), reference)
            if canceled.event is Event.CLOSE:
                # It is closed for good; whether it was declined before, its last look says.
                return seen if seen.event is not Event.LOSE_TRACK else canceled
        return Answer(Event.LOSE_TRACK, seen.detail, reference)

    async def _spend_key(self, call: Call) -> Answer:
        """Use the key for an intent that cannot charge: a late first request is then refused."""
        spent = await self._answer(
            call,
            lambda at: at.create_async(bare_intent_params(call), _key(call.downstream_key)),
        )
        if spent.reference and spent.event is Event.LOSE_TRACK:
            return await self._cancel(call, spent.reference)
        if "idempotency_error" in spent.detail and call.request is not None:
            # The key was spent on the real request: repeating that brings its first answer back.
            return await self._create_and_confirm(call)
        return Answer(Event.LOSE_TRACK, spent.detail)

    async def _answer(
        self,
        call: Call,
        ask: Callable[[Intents], Awaitable[stripe.PaymentIntent]],
        reference: str = "",
    ) -> Answer:
        """One exchange, whatever comes of it."""
        with _tracer.start_as_current_span("stripe payment_intents", kind=trace.SpanKind.CLIENT):
            try:
                intent = await ask(self._intents())
            except stripe.APIConnectionError as error:
                answer = failure_answer(NAME, error.__cause__ or error)
                return _with(answer, reference)
            except stripe.StripeError as error:
                return error_answer(error, reference, self._codes)
            except EXCHANGE_FAILURES as error:
                return _with(failure_answer(NAME, error), reference)
        return intent_answer(call, intent, self._codes)

    def _intents(self) -> Intents:
        if self._client is None:  # a session belongs to the loop that runs it
            self._session = aiohttp.ClientSession(
                connector=connector(), cookie_jar=aiohttp.DummyCookieJar()
            )
            self._client = stripe.StripeClient(
                self._credential,
                base_addresses={"api": self._base_url},
                max_network_retries=0,
                http_client=stripe.AIOHTTPClient(timeout=self._timeout, session=self._session),
            )
        return self._client.v1.payment_intents


def _key(key: str) -> stripe.RequestOptions:
    return {"idempotency_key": key}


def _with(answer: Answer, reference: str) -> Answer:
    return Answer(
        answer.event, answer.detail, answer.reference or reference, of_request=answer.of_request
    )
