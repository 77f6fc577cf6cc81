"""Takes webhooks: verified, kept, answered, and nothing more; a worker does the rest."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from opentelemetry import metrics

from cashier_common.db.failures import CommitUnknown
from cashier_common.errors import Refusal
from cashier_common.failpoints import hit
from cashier_gateway.domain.notice import NoticeFault, NoticeRefused
from cashier_gateway.flows.notice_ports import Letters
from cashier_gateway.flows.ports import Terminal

PATH: Final = "/webhooks/{account}"
# The largest event that Stripe documents is far below; Adyen's items are about 2 KB.
BODY_MAX_BYTES: Final = 256 * 1024
# A body that trickles in slower than this is no processor's.
READ_MAX_S: Final = 10.0
# More at a time wait their turn: each one needs a connection to the database.
UNDER_WAY_MAX: Final = 64
LOG_EVERY_S: Final = 1.0
# Adyen goes by the status and, in its older text, by this body; others ignore it.
ACCEPTED: Final = "[accepted]"
_STATUSES: Final[Mapping[NoticeFault, HTTPStatus]] = {
    NoticeFault.UNVERIFIED: HTTPStatus.UNAUTHORIZED,
    NoticeFault.UNREADABLE: HTTPStatus.BAD_REQUEST,
}

_log = structlog.get_logger(__name__)
_refused = metrics.get_meter("cashier_gateway").create_counter(
    "cashier.gateway.webhooks_refused", description="Webhooks that were not taken, by account."
)


@dataclass(slots=True)
class Refusals:
    """Counts what is refused, and writes at most one line a second of it: anybody may send."""

    count: int = 0
    _quiet_until: float = field(default=0.0)

    def tell(self, account: str, fault: str, sentence: str) -> None:
        """Count one; the log line says how many there were since the last line."""
        self.count += 1
        _refused.add(1, {"account": account, "fault": fault})
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + LOG_EVERY_S
            _log.warning(
                "webhook_refused", account=account, fault=fault, why=sentence, refused=self.count
            )
            self.count = 0


@dataclass(frozen=True)
class Intake:
    """`POST /webhooks/{account}` for each account of this gateway."""

    letters: Letters
    terminals: Mapping[str, Terminal]
    refusals: Refusals = field(default_factory=Refusals)
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UNDER_WAY_MAX))

    def application(self) -> web.Application:
        """The HTTP application; nothing else is served here."""
        app = web.Application(client_max_size=BODY_MAX_BYTES)
        app.router.add_post(PATH, self.take)
        return app

    async def take(self, request: web.Request) -> web.Response:
        """2xx only once all notices of the body are committed; all else the sender repeats."""
        terminal = self.terminals.get(request.match_info["account"])
        if terminal is None:
            sentence = "no account has this path"
            return self._refuse("", "UNKNOWN_ACCOUNT", sentence, HTTPStatus.NOT_FOUND)
        account = terminal.account.account_id
        try:
            async with asyncio.timeout(READ_MAX_S):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            sentence = f"the body has more than {BODY_MAX_BYTES} bytes"
            return self._refuse(account, "TOO_LARGE", sentence, status)
        except TimeoutError:
            sentence = f"the body did not come within {READ_MAX_S:g} s"
            return self._refuse(account, "TOO_SLOW", sentence, HTTPStatus.REQUEST_TIMEOUT)
        try:
            notices = terminal.processor.read_notices(request.headers, body)
        except NoticeRefused as refusal:
            status = _STATUSES[refusal.fault]
            return self._refuse(account, refusal.fault.value, str(refusal), status)
        try:
            async with self.gate:
                fresh = await self.letters.put(account, notices, body)
        except (Refusal, CommitUnknown) as error:  # the database is away
            _log.warning("webhook_not_kept", account=account, error=type(error).__name__)
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        await hit("gateway.after_inbox")
        _log.debug("webhook_kept", account=account, notices=len(notices), fresh=fresh)
        return web.Response(text=ACCEPTED)

    def _refuse(self, account: str, fault: str, sentence: str, status: HTTPStatus) -> web.Response:
        self.refusals.tell(account, fault, sentence)
        return web.Response(status=status, text=sentence)


async def open_intake(intake: Intake, host: str, port: int) -> web.AppRunner:
    """Listen until the runner is cleaned up; port 0 takes a free one, which the log names."""
    runner = web.AppRunner(intake.application(), access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, host, port, reuse_address=True)
    await site.start()
    address = runner.addresses[0]
    _log.info("webhooks_served", host=address[0], port=address[1])
    return runner
