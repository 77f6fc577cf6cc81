"""Speaks to one Stripe account through the official library, so that no money moves twice."""

from collections.abc import Mapping

from cashier_common.clock import Clock, SystemClock
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.clients.stripe.authorization import Authorizations
from cashier_gateway.clients.stripe.follow_ups import FollowUps
from cashier_gateway.clients.stripe.line import StripeLine
from cashier_gateway.clients.stripe.notices import read_notices
from cashier_gateway.clients.stripe.units import AmountNotExpressible
from cashier_gateway.clients.stripe.wire import not_expressible
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.notice import Notice
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Keep


class StripeProcessor:
    """PaymentIntents, refunds and payouts of one account."""

    def __init__(
        self,
        account: ProcessorAccount,
        *,
        base_url: str,
        credential: str,
        webhook_secrets: tuple[str, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        self._codes = load_codes("stripe")
        self._webhook_secrets, self._clock = webhook_secrets, clock or SystemClock()
        self._line = StripeLine(account, base_url=base_url, credential=credential)
        self._authorizations = Authorizations(account, self._line, self._codes)
        self._follow_ups = FollowUps(account, self._line, self._codes)

    async def send(self, call: Call, keep: Keep) -> Answer:
        """Ask for it once: by the key, by an intent that the row names, or not a second time."""
        try:
            if _authorizes(call):
                return await self._authorizations.send(call, keep)
            return await self._follow_ups.send(call)
        except AmountNotExpressible as error:
            return not_expressible(error, self._codes)

    async def look_up(self, call: Call) -> Answer:
        """Fetch what is recorded, or find what carries the operation."""
        if _authorizes(call):
            return await self._authorizations.look_up(call)
        return await self._follow_ups.look_up(call)

    async def close_door(self, call: Call) -> Answer:
        """Spend the key: on an intent that cannot charge, or on the request itself."""
        if _authorizes(call):
            return await self._authorizations.close_door(call)
        return await self._follow_ups.close_door(call)

    def read_notices(self, headers: Mapping[str, str], body: bytes) -> tuple[Notice, ...]:
        """Verify and read one webhook; NoticeRefused says why not."""
        return read_notices(
            headers,
            body,
            secrets=self._webhook_secrets,
            now=self._clock.now(),
            codes=self._codes,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()


def _authorizes(call: Call) -> bool:
    """A tombstone may be of any kind: its key is closed as an authorization's is."""
    return call.request is None or call.request.kind is Kind.AUTHORIZE
