"""Captures, voids, refunds and payouts at Stripe: each once, with keys and without them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, TypeVar

import stripe

from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.stripe.follow_up_wire import (
    StripeObject,
    capture_answer,
    capture_params,
    names_operation,
    payout_answer,
    payout_params,
    refund_answer,
    refund_params,
    void_answer,
)
from cashier_gateway.clients.stripe.line import StripeLine, keyed
from cashier_gateway.clients.stripe.wire import KEY_LIFE, RequestLost, error_answer
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer

# Refunds of one intent, or payouts since the call was written: more pages are not ours to search.
PAGE_ITEMS: Final = 100
SEARCHED_ITEMS_MAX: Final = 1_000
# How far Stripe's clock may be behind ours when payouts are listed by their time.
CLOCK_SKEW: Final = timedelta(minutes=5)

Found = TypeVar("Found", bound=StripeObject)
Ask: TypeAlias = Callable[[Call, Request], Awaitable[Answer]]


class FollowUps:
    """Where keys are honoured, repeating a request brings its first answer or does it now, once.

    Where they are not, nothing but a void is ever sent by a second owner: a void twice is one void.
    What was done is then found by the operation in the object's metadata, and else not known.
    """

    def __init__(self, account: ProcessorAccount, line: StripeLine, codes: Codes) -> None:
        self._line, self._codes = line, codes
        self._refused = account.refused_fields
        self._honours_keys = account.honours_idempotency_keys
        self._multicapture = account.capabilities.multiple_capture
        self._sending: dict[Kind, Ask] = {
            Kind.CAPTURE: self._capture,
            Kind.VOID: self._void,
            Kind.REFUND: self._refund,
            Kind.PAYOUT: self._payout,
        }
        self._looking: dict[Kind, Ask] = {
            Kind.CAPTURE: self._find_intent,
            Kind.VOID: self._find_intent,
            Kind.REFUND: self._find_refund,
            Kind.PAYOUT: self._find_payout,
        }

    async def send(self, call: Call) -> Answer:
        """Ask once; a second owner who has no key to rely on looks instead."""
        request = _request(call)
        if call.lease_epoch > 1 and not self._may_repeat(call, request):
            return await self.look_up(call)
        return await self._sending[request.kind](call, request)

    async def look_up(self, call: Call) -> Answer:
        """Find it by its reference or by the operation that it carries; unfound is not known."""
        request = _request(call)
        return await self._looking[request.kind](call, request)

    async def close_door(self, call: Call) -> Answer:
        """What was found; else the request again under its key, which is the truth either way."""
        seen, request = await self.look_up(call), _request(call)
        if seen.event is not Event.LOSE_TRACK or not self._may_repeat(call, request):
            return seen
        answer = await self._sending[request.kind](call, request)
        if answer.of_request and answer.event is not Event.DECLINE_HARD:
            # Not sent, or refused unread: that says nothing about what may still be on its way.
            return Answer(Event.LOSE_TRACK, answer.detail)
        return answer

    def _may_repeat(self, call: Call, request: Request) -> bool:
        if request.kind is Kind.VOID:
            return True
        return self._honours_keys and datetime.now(UTC) - call.created_at < KEY_LIFE

    async def _capture(self, call: Call, request: Request) -> Answer:
        params = capture_params(
            call, request, refused=self._refused, multicapture=self._multicapture
        )
        return await self._line.ask(
            "capture",
            lambda v1: v1.payment_intents.capture_async(
                request.authorization_reference, params, keyed(call.downstream_key)
            ),
            read=lambda intent: capture_answer(call, intent, refused=self._refused),
            refused=lambda error: self._error(call, error),
        )

    async def _void(self, call: Call, request: Request) -> Answer:
        answer = await self._line.ask(
            "cancel",
            lambda v1: v1.payment_intents.cancel_async(
                request.authorization_reference, {}, keyed(call.downstream_key)
            ),
            read=lambda intent: void_answer(call, intent),
            refused=lambda error: self._error(call, error),
        )
        if answer.event is Event.DECLINE_HARD and not self._honours_keys:
            # Refused in its state, perhaps because an earlier try canceled it: the intent knows.
            seen = await self._find_intent(call, request)
            return seen if seen.event is not Event.LOSE_TRACK else answer
        return answer

    async def _refund(self, call: Call, request: Request) -> Answer:
        params = refund_params(call, request, refused=self._refused)
        return await self._line.ask(
            "refunds",
            lambda v1: v1.refunds.create_async(params, keyed(call.downstream_key)),
            read=lambda refund: refund_answer(call, refund, self._codes),
            refused=lambda error: self._error(call, error),
        )

    async def _payout(self, call: Call, request: Request) -> Answer:
        params = payout_params(call, request)
        return await self._line.ask(
            "payouts",
            lambda v1: v1.payouts.create_async(params, keyed(call.downstream_key)),
            read=lambda payout: payout_answer(call, payout, self._codes),
            refused=lambda error: self._error(call, error),
        )

    async def _find_intent(self, call: Call, request: Request) -> Answer:
        def read(intent: stripe.PaymentIntent) -> Answer:
            if request.kind is Kind.VOID:
                return void_answer(call, intent)
            return capture_answer(call, intent, refused=self._refused)

        return await self._line.ask(
            "payment_intents",
            lambda v1: v1.payment_intents.retrieve_async(request.authorization_reference),
            read=read,
            refused=_unfound,
        )

    async def _find_refund(self, call: Call, request: Request) -> Answer:
        async def find(v1: stripe.V1Services) -> stripe.Refund | None:
            if call.reference:
                return await v1.refunds.retrieve_async(call.reference)
            listed = await v1.refunds.list_async(
                {"payment_intent": request.authorization_reference, "limit": PAGE_ITEMS}
            )
            return await _ours(call, listed.auto_paging_iter())

        return await self._line.ask(
            "refunds",
            find,
            read=lambda refund: _not_there() if refund is None else refund_answer(
                call, refund, self._codes
            ),
            refused=_unfound,
        )  # fmt: skip

    async def _find_payout(self, call: Call, request: Request) -> Answer:  # noqa: ARG002
        async def find(v1: stripe.V1Services) -> stripe.Payout | None:
            if call.reference:
                return await v1.payouts.retrieve_async(call.reference)
            since = int((call.created_at - CLOCK_SKEW).timestamp())
            listed = await v1.payouts.list_async({"created": {"gte": since}, "limit": PAGE_ITEMS})
            return await _ours(call, listed.auto_paging_iter())

        return await self._line.ask(
            "payouts",
            find,
            read=lambda payout: _not_there() if payout is None else payout_answer(
                call, payout, self._codes
            ),
            refused=_unfound,
        )  # fmt: skip

    def _error(self, call: Call, error: stripe.StripeError) -> Answer:
        return error_answer(_request(call).kind, error, "", self._codes)


def _request(call: Call) -> Request:
    if call.request is None:
        raise RequestLost(call.operation)
    return call.request


def _unfound(error: stripe.StripeError) -> Answer:
    """A query that fails changes nothing."""
    return Answer(Event.LOSE_TRACK, f"it could not be looked up: HTTP {error.http_status}")


def _not_there() -> Answer:
    return Answer(Event.LOSE_TRACK, "nothing at Stripe carries this operation so far")


async def _ours(call: Call, listed: AsyncIterator[Found]) -> Found | None:
    """The object that carries the operation, among the newest ones."""
    searched = 0
    async for one in listed:
        if names_operation(call, one):
            return one
        searched += 1
        if searched == SEARCHED_ITEMS_MAX:
            break
    return None
