"""The line to one Stripe account through the official library; whatever breaks is an answer."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

import aiohttp
import stripe
from opentelemetry import trace

from cashier_gateway.clients.failures import (
    EXCHANGE_FAILURES,
    failure_answer,
    open_session,
    patience,
)
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.outcome import Answer

NAME: Final = "Stripe"
T = TypeVar("T")

_tracer = trace.get_tracer("cashier_gateway")


class StripeLine:
    """Connections and credential of one account."""

    def __init__(self, account: ProcessorAccount, *, base_url: str, credential: str) -> None:
        self._timeout = patience(account.timeout_s)
        self._base_url, self._credential = base_url.rstrip("/"), credential
        self._session: aiohttp.ClientSession | None = None
        self._client: stripe.StripeClient | None = None

    async def ask(
        self,
        what: str,
        exchange: Callable[[stripe.V1Services], Awaitable[T]],
        *,
        read: Callable[[T], Answer],
        refused: Callable[[stripe.StripeError], Answer],
        reference: str = "",
    ) -> Answer:
        """One exchange: what it brought, or what its failure proves."""
        with _tracer.start_as_current_span(f"stripe {what}", kind=trace.SpanKind.CLIENT):
            try:
                found = await exchange(self._services())
            except stripe.APIConnectionError as error:
                return _about(failure_answer(NAME, error.__cause__ or error), reference)
            except stripe.StripeError as error:
                return refused(error)
            except EXCHANGE_FAILURES as error:
                return _about(failure_answer(NAME, error), reference)
        return read(found)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _services(self) -> stripe.V1Services:
        if self._client is None:  # a session belongs to the loop that runs it
            self._session = open_session()
            self._client = stripe.StripeClient(
                self._credential,
                base_addresses={"api": self._base_url},
                max_network_retries=0,
                http_client=stripe.AIOHTTPClient(timeout=self._timeout, session=self._session),
            )
        return self._client.v1


def keyed(key: str) -> stripe.RequestOptions:
    """The options of a request under an idempotency key."""
    return {"idempotency_key": key}


def _about(answer: Answer, reference: str) -> Answer:
    return replace(answer, reference=answer.reference or reference)
