"""Speaks to one account of the sandbox, which honours the key that every request carries."""

from collections.abc import Mapping
from typing import Final

import orjson

from cashier_common.clock import Clock, SystemClock
from cashier_gateway.clients.declines import Codes, load_codes
from cashier_gateway.clients.failures import EXCHANGE_FAILURES, failure_answer, patience
from cashier_gateway.clients.json_line import JsonLine
from cashier_gateway.clients.sandbox.notices import read_notices
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
from cashier_gateway.domain.notice import Notice
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep

# A status query is small and repeated by its caller: it need not wait as long as a charge.
LOOK_UP_TIMEOUT_S: Final = 5.0


class SandboxProcessor:
    """The charges API of one account: every kind of operation, under its call's key."""

    def __init__(
        self,
        account: ProcessorAccount,
        *,
        base_url: str,
        credential: str,
        webhook_secrets: tuple[str, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        self._account, self._webhook_secrets = account.merchant_account, webhook_secrets
        self._clock = clock or SystemClock()
        self._codes: Codes = load_codes("sandbox")
        self._line = JsonLine("sandbox", base_url)
        self._headers = {
            "Authorization": f"Bearer {credential}",
            "Content-Type": "application/json",
        }
        self._timeout = patience(account.timeout_s)
        self._look_up_timeout = patience(LOOK_UP_TIMEOUT_S)

    async def send(self, call: Call, keep: Keep) -> Answer:  # noqa: ARG002 - keys are honoured
        """Ask once: the same key again gets the first answer again."""
        headers = {**self._headers, "Idempotency-Key": call.downstream_key}
        path, body = request_of(call)
        kind = call.request.kind if call.request else Kind.AUTHORIZE
        try:
            status, answer = await self._line.ask(
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
        """Verify and read one webhook; NoticeRefused says why not."""
        return read_notices(
            headers,
            body,
            account=self._account,
            secrets=self._webhook_secrets,
            now=self._clock.now(),
            codes=self._codes,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()

    async def _key(self, call: Call, method: str, path: str) -> Answer:
        try:
            status, body = await self._line.ask(
                method, path, self._look_up_timeout, headers=self._headers, body=None
            )
        except EXCHANGE_FAILURES as error:
            detail = f"the key could not be looked up: {type(error).__name__}"
            return Answer(Event.LOSE_TRACK, detail)
        return key_answer(call, status, body, self._codes)
