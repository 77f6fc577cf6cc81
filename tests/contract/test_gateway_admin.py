"""GatewayAdminService and its command over real processes: what came by webhook, for operators."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from cashier.gateway.v1 import gateway_admin_service_pb2 as api
from cashier.gateway.v1 import gateway_admin_service_pb2_grpc, notice_pb2
from cashier_common.db.engine import Database
from cashier_common.money import Money
from cashier_common.rpc.status import refusal_reason
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice
from cashier_gateway.notices_command import commands
from cashier_gateway.storage.inbox import Inbox
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_process import GatewayProcess, keyed
from tests.support.gateway_rig import accounts_file
from tests.support.gateway_webhooks import ADYEN, hook_account
from tests.support.postgres_fixture import Copies, postgres

__all__ = ["postgres"]
KEY = "key-of-an-operator-0001"
NAME = f"notices/{ADYEN}/psp-1%2FCAPTURE%2Ftrue"


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, service) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("gateway")
    serving = GatewayProcess(folder, service, accounts_file(folder / "a.yaml", hook_account(ADYEN)))
    try:
        yield serving.start()
    finally:
        serving.kill()


@pytest.fixture
async def stub(gateway: GatewayProcess, service: ServiceDatabase) -> AsyncIterator[Any]:
    database = await Database.connect(service.app_url, name="test")
    notices = [
        Notice(
            event_id=f"psp-{number}/CAPTURE/true", detail="Adyen: CAPTURE succeeded",
            operation="payments/pay_x/operations/2", references=(f"psp-{number}",),
            kinds=(Kind.CAPTURE,), event=Event.SUCCEED, amount=Money(1250, "EUR"),
        )
        for number in range(3)
    ]  # fmt: skip
    await Inbox(database).put(ADYEN, notices, b"the body")
    await database.close()
    async with gateway.channel() as channel:
        yield gateway_admin_service_pb2_grpc.GatewayAdminServiceStub(channel)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = refusal_reason(caught.value)
    assert info is not None
    return caught.value.code(), info.reason


async def test_an_operator_pages_reads_reprocesses_and_dismisses(stub, gateway):
    first = await stub.ListNotices(api.ListNoticesRequest(account_id=ADYEN, page_size=2))
    rest = await stub.ListNotices(
        api.ListNoticesRequest(account_id=ADYEN, page_size=2, page_token=first.next_page_token)
    )
    none = await stub.ListNotices(api.ListNoticesRequest(state=notice_pb2.Notice.STATE_DEAD))
    seen = await stub.GetNotice(api.GetNoticeRequest(name=NAME))
    request = api.ReprocessNoticeRequest(
        name=NAME, operator="ann", reason="the capture came", etag=seen.etag
    )
    taken = [await stub.ReprocessNotice(request, metadata=keyed(KEY)) for _ in (1, 2)]
    dismissed = await stub.DismissNotice(
        api.DismissNoticeRequest(name=NAME, operator="ann", reason="a test's", etag=taken[1].etag),
        metadata=keyed(KEY + "2"),
    )

    assert (2, 1, "", 0) == (
        len(first.notices), len(rest.notices), rest.next_page_token, len(none.notices),
    )  # fmt: skip
    assert 3 == len({one.name for one in (*first.notices, *rest.notices)})
    assert (1250, "EUR", "psp-1", "SUCCEED") == (
        seen.amount.minor, seen.amount.asset_code, seen.references[0], seen.event,
    )  # fmt: skip
    assert taken[0] == taken[1]
    assert notice_pb2.Notice.RESULT_UNMATCHED == taken[0].result
    assert notice_pb2.Notice.RESULT_DISMISSED == dismissed.result
    proof = await stub.VerifyAuditLog(api.VerifyAuditLogRequest())
    assert [] == list(proof.findings)


@pytest.mark.parametrize(
    ("method", "request_", "key", "told"),
    [
        ("GetNotice", {"name": "notices/x/y"}, "", ("NOT_FOUND", "RESOURCE_NOT_FOUND")),
        ("ListNotices", {"state": 77}, "", ("INVALID_ARGUMENT", "FIELD_INVALID")),
        ("ListNotices", {"page_size": -1}, "", ("INVALID_ARGUMENT", "FIELD_INVALID")),
        ("ListNotices", {"page_token": "x"}, "", ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")),
        (
            "ReprocessNotice",
            {"name": NAME, "operator": "ann", "reason": "x", "etag": "old"},
            "",
            ("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_MISSING"),
        ),
        (
            "ReprocessNotice",
            {"name": NAME, "operator": "ann", "reason": "x", "etag": "old"},
            KEY + "3",
            ("ABORTED", "ETAG_MISMATCH"),
        ),
        (
            "DismissNotice",
            {"name": NAME, "operator": "", "reason": "x", "etag": "old"},
            KEY + "4",
            ("INVALID_ARGUMENT", "FIELD_REQUIRED"),
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_its_reason(stub, method, request_, key, told):
    message = getattr(api, f"{method}Request")(**request_)
    call = getattr(stub, method)(message, metadata=keyed(key) if key else ())

    code, reason = await refused(call)

    assert told == (code.name, reason)


async def test_the_command_does_the_same_in_the_same_way(stub, gateway, monkeypatch):
    for name, value in gateway.environment().items():
        monkeypatch.setenv(name, value)

    async def run(*words: str) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, commands, list(words))
        assert done.exit_code == 0, done.output
        return done.output

    name = f"notices/{ADYEN}/psp-0%2FCAPTURE%2Ftrue"
    listed = await run("list", "--account", ADYEN)
    dismissed = await run("dismiss", name, "--operator", "ann", "--reason", "somebody else's")
    shown = json.loads(await run("show", name))

    assert name in listed
    assert "DONE DISMISSED" in dismissed
    assert ("DISMISSED", "DONE") == (shown["result"], shown["state"])
    assert "payments/pay_x/operations/2" == shown["facts"]["operation"]
