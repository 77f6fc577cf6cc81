"""Webhooks caught as the sandbox sends them, of any API that it imitates, and signed anew."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice, NoticeRefused
from cashier_sandbox.domain.notice import Endpoint
from cashier_sandbox.processors.imitation import IMITATIONS
from tests.support.processor_stands import Bench, Stand

WAIT_S = 15.0


@dataclass(frozen=True)
class Letter:
    """What one webhook carried."""

    headers: Mapping[str, str]
    body: bytes


def signed(stand: Stand, body: bytes, secret: str = "", *, at_s: int | None = None) -> Letter:
    """A body signed in the stand's way; one that cannot hold a signature stays without."""
    imitation = IMITATIONS[stand.imitates]
    face = imitation.notices
    assert face is not None
    endpoint = Endpoint(
        id="", url="", secret=secret or stand.webhook_secret, types=(), created_at=""
    )
    try:
        sealed = face.seal(endpoint, body)
    except (ValueError, TypeError, LookupError):
        sealed = body
    moment = int(time.time()) if at_s is None else at_s
    sign = imitation.signer(stand.name) if imitation.signer else face.sign
    return Letter(sign(endpoint, sealed, moment), sealed)


def signs_time(stand: Stand) -> bool:
    """Whether an old message can be told from a new one."""
    return signed(stand, b"", at_s=1).headers != signed(stand, b"", at_s=2).headers


@dataclass
class Mailbox:
    """An endpoint of the sandbox's accounts that keeps what comes."""

    runner: web.AppRunner
    letters: list[Letter] = field(default_factory=list)

    @classmethod
    async def open(cls) -> "Mailbox":
        app = web.Application()
        box = cls(web.AppRunner(app))
        app.router.add_post("/{account}", box._take)
        await box.runner.setup()
        await web.TCPSite(box.runner, "127.0.0.1", 0).start()
        return box

    async def _take(self, request: web.Request) -> web.Response:
        self.letters.append(Letter(dict(request.headers), await request.read()))
        return web.Response()

    async def register(self, bench: Bench) -> None:
        """Let the bench's account tell this mailbox everything."""
        port = self.runner.addresses[0][1]
        url = f"http://127.0.0.1:{port}/{bench.stand.name}"
        body = {"url": url, "secret": bench.stand.webhook_secret}
        async with bench.sandbox.control() as control:
            await control.post(f"/control/accounts/{bench.stand.name}/endpoints", body)

    async def told(self, bench: Bench, kind: Kind, **asked: Any) -> tuple[Call, Letter]:
        """A call that was done at the processor, and the webhook that says so."""
        call = await bench.ready(kind, **asked)
        answer = await bench.send(call)
        call = replace(call, reference=answer.reference)
        if bench.stand.finish:
            await bench.stand.finish(bench, call)
        return call, await self.about(bench, call)

    async def about(self, bench: Bench, call: Call, event: Event = Event.SUCCEED) -> Letter:
        """The webhook that tells the call's success, once it has come."""
        kind = call.request.kind if call.request else Kind.AUTHORIZE
        async with asyncio.timeout(WAIT_S):
            while True:
                for letter in reversed(self.letters):
                    for notice in readable(bench, letter):
                        is_ours = notice.operation == call.operation and kind in notice.kinds
                        if is_ours and notice.event is event:
                            return letter
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.runner.cleanup()


def readable(bench: Bench, letter: Letter) -> tuple[Notice, ...]:
    """What the bench's adapter reads in a letter, nothing where it refuses it."""
    try:
        notices: tuple[Notice, ...] = bench.processor.read_notices(letter.headers, letter.body)
    except NoticeRefused:
        return ()
    return notices
