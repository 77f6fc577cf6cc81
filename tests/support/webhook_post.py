"""Webhooks on their way from the sandbox's processors into a gateway, for every adapter."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.ports import Terminal
from tests.support.gateway_rig import adapter
from tests.support.gateway_webhooks import Hooks
from tests.support.notice_capture import Letter, Mailbox, readable
from tests.support.postgres_fixture import Copies
from tests.support.processor_stands import STANDS, Bench, Stand, accounts_yaml
from tests.support.sandbox_process import Sandbox
from tests.support.waiting import until

TELLING = [stand for stand in STANDS if stand.webhook_secret]
ELSEWHERE = "-elsewhere"
"""Behind an account's name: another account of its processor with the same secret."""
HOSTILE = [
    b"",
    b"\x00\xff",
    b"\xff\xfe{}",
    b'{"id":"\xed\xa0\x80"}',
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"NaN",
    b"1e999",
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"id":1,"type":2,"data":{"object":{}},"resource":{}}',
    b'{"id":"evt_1","type":"charge.refunded","data":null,"resource":null}',
    b'{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":[]},"resource":[]}',
    b'{"id":"evt_1","id":null,"type":"charge.created","data":7,"resource":7}',
    b'{"id":"evt_1","type":"rtp.status","account":"bank","resource":[]}',
    b'{"notificationItems":[]}',
    b'{"notificationItems":{"NotificationRequestItem":{}}}',
    b'{"notificationItems":[{"NotificationRequestItem":{}}]}',
    b'{"notificationItems":[{"NotificationRequestItem":null}]}',
]


@dataclass
class Post:
    """One adapter's webhooks on their way from the sandbox into a gateway."""

    bench: Bench
    box: Mailbox
    hooks: Hooks

    @property
    def stand(self) -> Stand:
        return self.bench.stand

    async def send(self, letter: Letter, account: str = "") -> int:
        return await self.hooks.post(account or self.stand.name, letter.body, dict(letter.headers))

    async def row(self, call: Call, state: State, **facts: Any) -> Call:
        """The gateway's row of a call that was done at the processor."""
        kind = call.request.kind if call.request else Kind.AUTHORIZE
        own = {"account": self.stand.name, "reference": call.reference, "amount": call.amount}
        facts = own | facts
        return await self.hooks.call(state, kind, operation=call.operation, **facts)

    def is_about(self, call: Call, letter: Letter) -> bool:
        """Whether a letter tells of the call."""
        return any(call.operation == one.operation for one in readable(self.bench, letter))

    async def become(self, letter: Letter) -> list[tuple[str, str, int]]:
        """State, result and tries of what stands in the inbox for a letter, once each."""
        [*names] = {notice.event_id for notice in readable(self.bench, letter)}
        return [row for name in names for row in await self.hooks.letters(name)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    process = Sandbox(folder := tmp_path_factory.mktemp("sandbox"))
    (folder / "accounts.yaml").write_text(accounts_yaml())
    process.start()
    yield process
    process.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hooks(copies: Copies) -> AsyncIterator[Hooks]:
    service = copies.of("gateway")
    opened = await Hooks.open(service)
    yield opened
    await opened.close()
    copies.drop(service)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=TELLING, ids=lambda stand: stand.name
)
async def post(request, sandbox: Sandbox, hooks: Hooks) -> AsyncIterator[Post]:
    bench, box = Bench(request.param, sandbox), await Mailbox.open()
    for name in (bench.stand.name, bench.stand.name + ELSEWHERE):
        other = bench.stand.account(bench.port, account_id=name)
        hooks.rig.terminals[name] = Terminal(other, adapter(other))
    await box.register(bench)
    yield Post(bench, box, hooks)
    await box.close()
    await bench.close()


async def quiet(control: Any, account: str) -> None:
    """Until the sandbox has told everything."""

    async def silent() -> bool:
        notices = await control.get(f"/control/accounts/{account}/notices")
        return not notices["outstanding"]

    await until(silent, every_s=0.01)
