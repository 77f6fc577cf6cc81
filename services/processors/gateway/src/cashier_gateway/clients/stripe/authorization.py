"""Authorizations at Stripe: PaymentIntents that are charged once, with keys and without them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, TypeAlias

import stripe

from cashier_common.failpoints import hit
from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.stripe.line import StripeLine, keyed
from cashier_gateway.clients.stripe.wire import (
    KEY_LIFE,
    OPERATION_FIELD,
    bare_intent_params,
    confirm_params,
    error_answer,
    intent_answer,
    intent_params,
)
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep

# A confirm and a cancel of one intent may cross; the second look sees who won.
CLOSE_TRIES: Final = 2
# What cannot charge any more without a confirm, and a confirm of a canceled intent is refused.
CANCELABLE: Final = frozenset({"requires_payment_method", "requires_confirmation"})

# One more than there may be: two intents of one operation are a doubt for a person.
FOUND_MAX: Final = 2

Intents: TypeAlias = stripe.PaymentIntentService


class Authorizations:
    """Where keys are honoured, create and confirm are one request under the call's key.

    Else the intent is created, its id committed in the call's row, and then confirmed: an intent
    is charged once at the most, and one that is in no row is never confirmed.
    """

    def __init__(self, account: ProcessorAccount, line: StripeLine, codes: Codes) -> None:
        self._line, self._codes = line, codes
        self._refused = account.refused_fields
        self._honours_keys = account.honours_idempotency_keys
        self._multicapture = account.capabilities.multiple_capture

    async def send(self, call: Call, keep: Keep) -> Answer:
        """Charge once: by the key, or by an intent that the row names."""
        if self._honours_keys:
            return await self._create_and_confirm(call)
        return await self._create_keep_confirm(call, keep)

    async def look_up(self, call: Call) -> Answer:
        """Fetch the recorded intent, or search for the one that carries the operation."""
        if call.reference:
            return await self._answer(call, lambda at: at.retrieve_async(call.reference))
        if not self._honours_keys:
            return Answer(Event.LOSE_TRACK, "no intent was recorded: the door has to be closed")
        return await self._search(call)

    async def close_door(self, call: Call) -> Answer:
        """Cancel the intent, or spend the key on a harmless one, or show that none is ours."""
        if call.reference:
            return await self._cancel(call, call.reference)
        if not self._honours_keys:
            # Only an intent that a row names is confirmed, and this row names none and is fenced.
            return Answer(Event.CLOSE, "no intent was recorded, so none was ever confirmed")
        if datetime.now(UTC) - call.created_at > KEY_LIFE:
            # A key that Stripe forgot could be spent a second time, and would prove nothing.
            return await self._search(call)
        return await self._spend_key(call)

    async def _create_and_confirm(self, call: Call) -> Answer:
        params = intent_params(
            call, confirm=True, refused=self._refused, multicapture=self._multicapture
        )
        return await self._answer(
            call, lambda at: at.create_async(params, keyed(call.downstream_key))
        )

    async def _create_keep_confirm(self, call: Call, keep: Keep) -> Answer:
        reference = call.reference
        if not reference:
            params = intent_params(
                call, confirm=False, refused=self._refused, multicapture=self._multicapture
            )
            created = await self._answer(
                call, lambda at: at.create_async(params, keyed(call.downstream_key))
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
                reference, confirming, keyed(f"{call.downstream_key}-confirm")
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
            lambda at: at.create_async(bare_intent_params(call), keyed(call.downstream_key)),
        )
        if spent.reference and spent.event is Event.LOSE_TRACK:
            return await self._cancel(call, spent.reference)
        if "idempotency_error" in spent.detail and call.request is not None:
            # The key was spent on the real request: repeating that brings its first answer back.
            # A 500 is such an answer as well, for ever; then the intent itself has to be found.
            first = await self._create_and_confirm(call)
            return first if first.event is not Event.LOSE_TRACK else await self._search(call)
        return Answer(Event.LOSE_TRACK, spent.detail)

    async def _search(self, call: Call) -> Answer:
        """The intent that carries the operation, where the search knows it already.

        Stripe's search is up to a minute behind, and more while it has trouble: what it finds is
        evidence, what it does not find is not known.
        """

        async def find(v1: stripe.V1Services) -> stripe.PaymentIntent | None:
            query = f"metadata['{OPERATION_FIELD}']:'{call.operation}'"
            found = await v1.payment_intents.search_async({"query": query, "limit": FOUND_MAX})
            return found.data[0] if len(found.data) == 1 else None

        return await self._line.ask(
            "payment_intents/search",
            find,
            read=lambda intent: (
                Answer(Event.LOSE_TRACK, "no single intent carries the operation")
                if intent is None
                else intent_answer(call, intent, self._codes)
            ),
            refused=lambda error: Answer(
                Event.LOSE_TRACK, f"it could not be searched for: HTTP {error.http_status}"
            ),
        )

    async def _answer(
        self,
        call: Call,
        exchange: Callable[[Intents], Awaitable[stripe.PaymentIntent]],
        reference: str = "",
    ) -> Answer:
        return await self._line.ask(
            "payment_intents",
            lambda v1: exchange(v1.payment_intents),
            read=lambda intent: intent_answer(call, intent, self._codes),
            refused=lambda error: error_answer(Kind.AUTHORIZE, error, reference, self._codes),
            reference=reference,
        )
