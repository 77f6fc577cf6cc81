"""Speaks to one account of the sandbox, which honours the key that every request carries."""

from collections.abc import Mapping
from typing import Final

import aiohttp
import orjson
from opentelemetry import trace

from cashier_gateway.clients.declines import Codes, load_codes
from cashier_gateway.clients.failures import (
    CONNECT_TIMEOUT_S,
    EXCHANGE_FAILURES,
    connector,
    failure_answer,
)
from cashier_gateway.clients.sandbox.wire import (
    HTTP_CREATED,
    answer_of,
    error_answer,
    key_answer,
    request_of,
)
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice, NoticeFault, NoticeRefused
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep

# A status query is small and repeated by its caller: it need not wait as long as a charge.
LOOK_UP_TIMEOUT_S: Final = 5.0

_tracer = trace.get_tracer("cashier_gateway")


class SandboxProcessor:
    """The charges API of one account: every kind of operation, under its call's key."""

    def __init__(
        self,
        account: ProcessorAccount,
        *,
        base_url: str,
        credential: str,
        webhook_secrets: tuple[str, ...] = (),
    ) -> None:
        del webhook_secrets  # it sends no webhooks
        self._codes: Codes = load_codes("sandbox")
        self._base = base_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {credential}",
            "Content-Type": "application/json",
        }
        self._timeout = aiohttp.ClientTimeout(
            total=account.timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, account.timeout_s)
        )
        self._look_up_timeout = aiohttp.ClientTimeout(
            total=LOOK_UP_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S
        )
        self._session: aiohttp.ClientSession | None = None

    async def send(self, call: Call, keep: Keep) -> Answer:  # noqa: ARG002 - keys are honoured
        """Ask once: the same key again gets the first answer again."""
        headers = {**self._headers, "Idempotency-Key": call.downstream_key}
        path, body = request_of(call)
        kind = call.request.kind if call.request else Kind.AUTHORIZE
        try:
            status, answer = await self._ask(
                "POST", path, self._timeout, headers=headers, body=orjson.dumps(body)
            )
        except EXCHANGE_FAILURES as error:
            return failure_answer("the sandbox", error)
        if status == HTTP_CREATED:
            return answer_of(call, kind, answer, self._codes)
        return error_answer(kind, status, answer, self._codes)

    async def look_up(self, call: Call) -> Answer:
        """Ask what was done under the key; nothing that is found there is not final."""
        return await self._key(call, "GET", f"/v1/keys/{call.downstream_key}")

    async def close_door(self, call: Call) -> Answer:
        """Close the key: afterwards it was used, or nothing can ever happen under it."""
        return await self._key(call, "POST", f"/v1/keys/{call.downstream_key}/close")

    def read_notices(self, headers: Mapping[str, str], body: bytes) -> tuple[Notice, ...]:
        """Its charges API sends no webhooks: whatever comes is somebody else's."""
        del headers, body
        raise NoticeRefused(NoticeFault.UNVERIFIED, "this processor sends no webhooks")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _key(self, call: Call, method: str, path: str) -> Answer:
        try:
            status, body = await self._ask(
                method, path, self._look_up_timeout, headers=self._headers, body=None
            )
        except EXCHANGE_FAILURES as error:
            detail = f"the key could not be looked up: {type(error).__name__}"
            return Answer(Event.LOSE_TRACK, detail)
        return key_answer(call, status, body, self._codes)

    async def _ask(
        self,
        method: str,
        path: str,
        patience: aiohttp.ClientTimeout,
        *,
        headers: dict[str, str],
        body: bytes | None,
    ) -> tuple[int, object]:
        """One exchange: HTTP status and the answer as parsed JSON, None where it is no JSON."""
        if self._session is None:  # a session belongs to the loop that runs it
            self._session = aiohttp.ClientSession(
                connector=connector(), cookie_jar=aiohttp.DummyCookieJar()
            )
        with _tracer.start_as_current_span(f"sandbox {method}", kind=trace.SpanKind.CLIENT) as span:
            async with self._session.request(
                method, self._base + path, data=body, headers=headers, timeout=patience,
                allow_redirects=False,
            ) as response:  # fmt: skip
                span.set_attribute("http.response.status_code", response.status)
                raw = await response.read()
        try:
            return response.status, orjson.loads(raw)
        except orjson.JSONDecodeError:
            return response.status, None
