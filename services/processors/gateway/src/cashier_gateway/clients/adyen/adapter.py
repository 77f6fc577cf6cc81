"""Speaks to one Adyen merchant account, where repeating a request under its key is the look-up."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import orjson

from cashier_common.clock import Clock, SystemClock
from cashier_common.settings import SettingsRefused
from cashier_gateway.clients.adyen.notices import read_notices
from cashier_gateway.clients.adyen.units import AmountNotExpressible
from cashier_gateway.clients.adyen.wire import (
    answer_of,
    body_of,
    error_answer,
    not_expressible,
    path_of,
)
from cashier_gateway.clients.declines import Codes, load_codes
from cashier_gateway.clients.failures import EXCHANGE_FAILURES, failure_answer, patience
from cashier_gateway.clients.json_line import JsonLine
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.domain.notice import Notice
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep

NAME: Final = "Adyen"
# Adyen keeps keys "for a minimum period of 7 days" (31 in an older text). A day less than the
# shorter one, for clocks that differ: behind it a repetition could be a second payment.
KEY_LIFE: Final = timedelta(days=6)
# States in which Adyen has the request and tells the end by webhook; a repetition would bring the
# first answer again, which is older than what we know.
ACKNOWLEDGED: Final = frozenset({State.PENDING, State.ACTION_REQUIRED})


class AdyenProcessor:
    """Payments, modifications and payouts of one merchant account.

    Checkout has no query for a payment. The same request under the same key brings the first
    answer back, or happens now and once: that is the look-up, and the door.
    """

    def __init__(
        self,
        account: ProcessorAccount,
        *,
        base_url: str,
        credential: str,
        webhook_secrets: tuple[str, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        self._codes: Codes = load_codes("adyen")
        self._account = account
        self._line = JsonLine("adyen", base_url)
        self._headers = {"X-API-Key": credential, "Content-Type": "application/json"}
        self._webhook_keys = tuple(
            _key(secret, of=account.account_id) for secret in webhook_secrets
        )
        self._clock = clock or SystemClock()
        self._timeout = patience(account.timeout_s)

    async def send(self, call: Call, keep: Keep) -> Answer:  # noqa: ARG002 - keys are honoured
        """Ask once: the same key again gets the first answer again."""
        try:
            body = orjson.dumps(body_of(call, self._account.merchant_account))
        except AmountNotExpressible as error:
            return not_expressible(call, error, self._codes)
        headers = {**self._headers, "Idempotency-Key": call.downstream_key}
        try:
            status, answer = await self._line.ask(
                "POST", path_of(call), self._timeout, headers=headers, body=body
            )
        except EXCHANGE_FAILURES as error:
            return failure_answer(NAME, error)
        if status in {200, 201}:
            return answer_of(call, answer, self._codes)
        return error_answer(call, status, answer, self._codes)

    async def look_up(self, call: Call) -> Answer:
        """Repeat the request: its first answer comes back, or it happens now and once."""
        if call.request is None:
            return Answer(Event.LOSE_TRACK, "this rail has not seen the operation: close its door")
        if call.state in ACKNOWLEDGED:
            detail = "Adyen has the request, and tells its end by webhook alone"
            return Answer(Event.LOSE_TRACK, detail, call.reference)
        if self._clock.now() - call.created_at > KEY_LIFE:
            return Answer(Event.LOSE_TRACK, "the key is too old to be repeated: ask Adyen")
        answer = await self.send(call, _keep_nothing)
        if answer.of_request:
            # That this request was refused says nothing about the first one.
            return Answer(Event.LOSE_TRACK, answer.detail, answer.reference)
        return answer

    async def close_door(self, call: Call) -> Answer:
        """Show that it was never sent, or spend the key on it."""
        if call.request is None:
            return Answer(Event.CLOSE, "this rail never saw the operation, so it was never sent")
        return await self.look_up(call)

    def read_notices(self, headers: Mapping[str, str], body: bytes) -> tuple[Notice, ...]:
        """Verify and read one webhook; NoticeRefused says why not."""
        del headers  # Adyen signs named fields in the body
        return read_notices(
            body,
            keys=self._webhook_keys,
            merchant_account=self._account.merchant_account,
            codes=self._codes,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()


def _key(secret: str, *, of: str) -> bytes:
    try:
        return bytes.fromhex(secret)
    except ValueError:
        raise SettingsRefused(
            f"webhook_secrets of {of} hold what is no hexadecimal key: Adyen shows its HMAC keys so"
        ) from None


async def _keep_nothing(reference: str) -> None:
    """A look-up records no reference before its answer."""
