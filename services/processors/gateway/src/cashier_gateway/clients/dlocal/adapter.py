"""Speaks to one dLocal account: signed payins, payouts behind a short-lived access token."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import orjson

from cashier_common.clock import Clock, SystemClock
from cashier_gateway.clients.declines import Codes, load_codes
from cashier_gateway.clients.dlocal.answers import (
    HTTP_NOT_FOUND,
    HTTP_OK,
    answer_of,
    error_answer,
    is_duplicated,
    not_expressible,
)
from cashier_gateway.clients.dlocal.notices import read_notices
from cashier_gateway.clients.dlocal.signing import Credential, signed
from cashier_gateway.clients.dlocal.units import AmountNotExpressible, exact
from cashier_gateway.clients.dlocal.wire import (
    PAYMENTS,
    PAYOUTS,
    PayerLost,
    ask_of,
    look_up_path,
    order_path,
    request_of,
)
from cashier_gateway.clients.failures import EXCHANGE_FAILURES, failure_answer, patience
from cashier_gateway.clients.json_line import JsonLine
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep

NAME: Final = "dLocal"
# dLocal documents that a key makes a request idempotent, and not for how long. A day is the least
# that anybody in the market promises; an hour less, for clocks that differ.
KEY_LIFE: Final = timedelta(hours=23)
# A token lives 180 s; asked for anew well before, so that none ends on its way.
TOKEN_MARGIN: Final = timedelta(seconds=30)
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path
HTTP_FORBIDDEN: Final = frozenset({401, 403})
HTTP_BAD_GATEWAY: Final = 502  # what we make of an answer that is no token
_BY_ORDER: Final = frozenset({Kind.AUTHORIZE, Kind.CAPTURE})


class DLocalProcessor:
    """Cards, PIX, vouchers and payouts of one account.

    A payment is found by its id, or by the order id that we gave it; a cancel by the payment that
    it was to cancel. A refund or payout whose answer was lost has no query: it is repeated under
    its key, as long as that lives. That is the door of everything as well.
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
        self._codes: Codes = load_codes("dlocal")
        self._login = account.merchant_account or account.account_id
        self._credential = Credential.parse(
            credential, of=account.account_id, payouts=account.capabilities.payout
        )
        self._line = JsonLine("dlocal", base_url, parse=exact)
        self._webhook_secrets = webhook_secrets
        self._clock = clock or SystemClock()
        self._timeout = patience(account.timeout_s)
        self._token, self._token_ends = "", self._clock.now()

    async def send(self, call: Call, keep: Keep) -> Answer:  # noqa: ARG002 - keys are honoured
        """Ask once: the same key again gets the first answer again."""
        try:
            path, body = ask_of(call)
        except AmountNotExpressible as error:
            return not_expressible(call, error, self._codes)
        except PayerLost:
            return await self._seek(call)
        try:
            status, answer = await self._ask("POST", path, body, key=call.downstream_key)
        except EXCHANGE_FAILURES as error:
            return failure_answer(NAME, error)
        if status == HTTP_OK:
            return answer_of(call, answer, self._codes)
        if is_duplicated(status, answer) and request_of(call).kind in _BY_ORDER:
            return await self._seek(call)
        return error_answer(call, status, answer, self._codes)

    async def look_up(self, call: Call) -> Answer:
        """Ask for it by its id or by ours; what has no query is repeated under its key."""
        if call.request is None:
            return Answer(Event.LOSE_TRACK, "this rail has not seen the operation: close its door")
        if look_up_path(call) or call.request.kind in _BY_ORDER:
            return await self._seek(call)
        return await self._repeat(call)

    async def close_door(self, call: Call) -> Answer:
        """Show that it was never sent, find it, or spend key and order id on it."""
        if call.request is None:
            return Answer(Event.CLOSE, "this rail never saw the operation, so it was never sent")
        if look_up_path(call) or call.request.kind in _BY_ORDER:
            found = await self._seek(call)
            if found.event is not Event.LOSE_TRACK or call.reference:
                return found
        return await self._repeat(call)

    def read_notices(self, headers: Mapping[str, str], body: bytes) -> tuple[Notice, ...]:
        """Verify and read one notification; NoticeRefused says why not."""
        return read_notices(
            headers,
            body,
            login=self._login,
            secrets=self._webhook_secrets,
            now=self._clock.now(),
            codes=self._codes,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()

    async def _repeat(self, call: Call) -> Answer:
        """Its first answer comes back, or it happens now and once; a refusal proves nothing."""
        if self._clock.now() - call.created_at > KEY_LIFE:
            return Answer(Event.LOSE_TRACK, "the key is too old to be repeated: ask dLocal")
        answer = await self.send(call, _keep_nothing)
        if answer.of_request:
            return Answer(Event.LOSE_TRACK, answer.detail, answer.reference)
        return answer

    async def _seek(self, call: Call) -> Answer:
        """What dLocal shows of it; LOSE_TRACK where it shows nothing, which proves nothing."""
        path = look_up_path(call)
        try:
            if not path:
                if request_of(call).kind not in _BY_ORDER:
                    return Answer(Event.LOSE_TRACK, "its id is not known, so it cannot be found")
                path = await self._path_by_order(call)
            if not path:
                return Answer(Event.LOSE_TRACK, "dLocal has no such order, or not yet")
            status, body = await self._ask("GET", path, b"")
        except EXCHANGE_FAILURES as error:
            detail = f"dLocal could not be asked: {type(error).__name__}"
            return Answer(Event.LOSE_TRACK, detail)
        if status != HTTP_OK:
            return Answer(Event.LOSE_TRACK, f"dLocal answered HTTP {status} to a query")
        return answer_of(call, body, self._codes)

    async def _path_by_order(self, call: Call) -> str:
        """The path of the payment under our order id; empty where there is none."""
        status, body = await self._ask("GET", order_path(call), b"")
        if status == HTTP_NOT_FOUND or not isinstance(body, Mapping):
            return ""
        found = body.get("payment_id")
        return f"{PAYMENTS}/{found}" if status == HTTP_OK and type(found) is str else ""

    async def _ask(
        self, method: str, path: str, body: bytes, *, key: str = ""
    ) -> tuple[int, object]:
        """One exchange, proven as its API wants it; raises one of EXCHANGE_FAILURES."""
        extra = {"X-Idempotency-Key": key} if key else {}
        if not path.startswith(PAYOUTS):
            headers = signed(self._login, self._credential, body, self._clock.now())
            return await self._line.ask(
                method, path, self._timeout, headers=headers | extra, body=body or None
            )
        status, answer = await self._bear_token()
        if status != HTTP_OK:
            return status, answer
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        status, answer = await self._line.ask(
            method, path, self._timeout, headers=headers | extra, body=body or None
        )
        if status in HTTP_FORBIDDEN:
            self._token = ""  # it may have been revoked: the next one asks for another
        return status, answer

    async def _bear_token(self) -> tuple[int, object]:
        """See to it that `_token` lives; the refusal as dLocal gave it where it does not."""
        now = self._clock.now()
        if self._token and now < self._token_ends:
            return HTTP_OK, None
        body = orjson.dumps(
            {
                "grant_type": "client_credentials",
                "client_id": self._credential.client_id,
                "client_secret": self._credential.client_secret,
            }
        )
        headers = {"Content-Type": "application/json"}
        status, answer = await self._line.ask(
            "POST", TOKEN_PATH, self._timeout, headers=headers, body=body
        )
        if status == HTTP_OK and isinstance(answer, Mapping):
            token, life_s = answer.get("access_token"), answer.get("expires_in")
            if type(token) is str and type(life_s) is int:
                self._token, self._token_ends = (
                    token,
                    now + timedelta(seconds=life_s) - TOKEN_MARGIN,
                )
                return HTTP_OK, None
            return HTTP_BAD_GATEWAY, None
        return status, answer


async def _keep_nothing(reference: str) -> None:
    """A look-up records no reference before its answer."""
