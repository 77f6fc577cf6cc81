"""Recon as its callers see it: real servers, real processes, real kills."""

from datetime import timedelta

import grpc
import grpc.aio
import pytest
import yaml

from cashier.recon.v1 import (
    exception_pb2,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    recon_service_pb2_grpc,
)
from cashier.recon.v1 import recon_service_pb2 as api
from cashier_common.db.audit import Sealer
from cashier_common.rpc.server import MeshServer
from cashier_common.rpc.status import refusal_reason
from cashier_common.service import Role
from cashier_common.settings import Environment
from cashier_recon.app import build
from cashier_recon.clients.router import fed_event
from cashier_recon.flows.post_events import post_events
from cashier_recon.settings import ReconSettings
from cashier_recon.storage.unit import unit_factory
from tests.support.recon_router import START, FakeRouter, Operation, event_of
from tests.support.recon_statements import file_of, row

pytest_plugins = ["tests.support.recon_books"]
OK = Operation.STATE_SUCCEEDED
CALLER = "spiffe://cashier.local/client/development"
FORMAT = api.STATEMENT_FORMAT_STRIPE_BALANCE_TRANSACTIONS


def key(word):
    return (("idempotency-key", word.ljust(16, "-")),)


@pytest.fixture
async def served(recon_database, tmp_path):
    """Stubs of both services, on a server of this process."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"callers": {CALLER: {"merchants": ["*"], "methods": ["*"]}}}))
    settings = ReconSettings(
        environment=Environment.DEVELOPMENT,
        listen="127.0.0.1:0",
        database_url=recon_database.app_url,
        plaintext=True,
        access_policy=policy,
    )
    app = await build(settings, Role.SERVE)
    server = MeshServer(settings, domain=app.domain, services=app.services, readiness=app.readiness)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield (
            recon_service_pb2_grpc.ReconServiceStub(channel),
            ledger_service_pb2_grpc.LedgerServiceStub(channel),
        )
    await server.stop(0)
    await app.on_stop()


async def load(recon, content, *, word, account="sandbox-eu", piece=4_000):
    async def parts():
        header = api.ImportStatementRequest.Header(
            processor_account=account, format=FORMAT, file_name="day.csv"
        )
        yield api.ImportStatementRequest(header=header)
        for place in range(0, len(content), piece):
            yield api.ImportStatementRequest(data=content[place : place + piece])

    call = recon.ImportStatement(parts(), metadata=key(word))
    statement = await call
    return statement, dict(await call.trailing_metadata())


async def book(db, *events):
    router = FakeRouter()
    router.append(0, events)
    fed = [fed_event(event, 0) for event in router.shards[0]]
    await post_events(fed, shard=0, after=0, begin=unit_factory(db))


def cutoff():
    request = api.StartRunRequest()
    request.cutoff_time.FromDatetime(START + timedelta(days=3))
    return request


async def test_from_the_file_to_the_decided_exception(served, recon_db):
    recon, ledger = served
    await book(recon_db, *(event_of(n, OK, amount=1000) for n in range(1, 8)))
    content = file_of([row(n, 1000 + (n == 3)) for n in range(1, 6)])

    statement, _ = await load(recon, content, word="import-1")
    again, trailing = await load(recon, content, word="import-2")
    run = await recon.StartRun(cutoff(), metadata=key("run-1"))
    same = await recon.StartRun(cutoff(), metadata=key("run-1"))

    assert api.Statement.STATE_IMPORTED == statement.state
    assert (5, 0, [5001]) == (
        statement.line_count,
        statement.rejected_line_count,
        [total.minor for total in statement.totals],
    )
    assert statement == again
    assert "true" == trailing["idempotent-replayed"]
    assert run == same == await recon.GetRun(api.GetRunRequest(name=run.name))
    assert api.Run.STATE_COMPLETE == run.state
    assert {"AMOUNT_MISMATCH": 1, "MISSING_IN_SETTLEMENT": 2} == dict(run.exception_counts)
    assert [0] == [line.amount.minor for line in run.bridge if line.label == "RESIDUAL"]

    pages, token = [], ""
    while True:
        request = api.ListExceptionsRequest(page_size=2, page_token=token)
        page = await recon.ListExceptions(request)
        pages += page.exceptions
        if not (token := page.next_page_token):
            break
    one = next(found for found in pages if found.type == "AMOUNT_MISMATCH")
    claim = api.ClaimExceptionRequest(name=one.name, operator="ann", etag=one.etag)
    claimed = await recon.ClaimException(claim, metadata=key("claim-1"))
    dispose = api.DisposeExceptionRequest(
        name=one.name, operator="ann", etag=claimed.etag, disposition="WRITE_OFF", reason="one cent"
    )
    decided = await recon.DisposeException(dispose, metadata=key("dispose-1"))
    decided_again = await recon.DisposeException(dispose, metadata=key("dispose-1"))

    assert 3 == len({found.name for found in pages})
    assert (1000, 1001, 1) == (
        one.expected_amount.minor,
        one.observed_amount.minor,
        one.difference.minor,
    )
    assert exception_pb2.ReconException.STATE_ASSIGNED == claimed.state
    assert exception_pb2.ReconException.STATE_WRITTEN_OFF == decided.state
    assert decided == decided_again
    trial = await ledger.GetTrialBalance(ledger_service_pb2.GetTrialBalanceRequest())
    assert [0] == [total.minor for total in trial.sums]
    summary = await recon.GetSummary(api.GetSummaryRequest())
    line = summary.lines[0]
    assert (7000, 7, 5001, 5, 2000, 2, 145) == (
        line.booked_minor,
        line.booked_count,
        line.settled_minor,
        line.settled_count,
        line.open_minor,
        line.open_count,
        line.fee_minor,
    )
    assert {"MISSING_IN_SETTLEMENT": 2} == dict(summary.open_exception_counts)
    assert {0: 7} == dict(summary.event_positions)


async def test_the_ledger_is_read_as_of_any_time_and_page_by_page(served, recon_db):
    _, ledger = served
    await book(recon_db, *(event_of(n, OK, amount=100) for n in range(1, 11)))
    request = ledger_service_pb2.GetTrialBalanceRequest()
    request.as_of_time.FromDatetime(START + timedelta(seconds=4))

    earlier = await ledger.GetTrialBalance(request)
    entries, token = [], ""
    while True:
        page = await ledger.ListEntries(
            ledger_service_pb2.ListEntriesRequest(
                account="receivable", page_size=3, page_token=token
            )
        )
        entries += page.entries
        if not (token := page.next_page_token):
            break
    of_one = await ledger.ListEntries(
        ledger_service_pb2.ListEntriesRequest(payment="payments/pay_00003")
    )
    balances = await ledger.GetBalances(
        ledger_service_pb2.GetBalancesRequest(account="merchant_payable", owner="shop")
    )

    assert [-400, 400] == [balance.amount.minor for balance in earlier.balances]
    assert [0] == [total.minor for total in earlier.sums]
    assert 10 == len({entry.journal for entry in entries})
    assert sorted((e.book_time.seconds for e in entries), reverse=True) == [
        entry.book_time.seconds for entry in entries
    ]
    assert {("receivable", 100), ("merchant_payable", -100)} == {
        (entry.account, entry.amount.minor) for entry in of_one.entries
    }
    assert [-1000] == [balance.amount.minor for balance in balances.balances]


async def test_refusals_name_the_field_and_the_way_out(served, recon_db):
    recon, _ = served

    async def refused(call):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return caught.value.code().name, refusal_reason(caught.value).reason

    async def headless():
        yield api.ImportStatementRequest(data=b"x")

    header = api.ImportStatementRequest.Header(processor_account="a", format=FORMAT)

    async def empty():
        yield api.ImportStatementRequest(header=header)

    async def too_large():
        yield api.ImportStatementRequest(header=header)
        yield api.ImportStatementRequest(data=b"x" * (1024 * 1024 + 1))

    async def other_format():
        yield api.ImportStatementRequest(
            header=api.ImportStatementRequest.Header(processor_account="a", format=7)
        )
        yield api.ImportStatementRequest(data=b"x")

    await load(recon, file_of([row(1, 1)]), word="import-one")
    start = recon.ImportStatement
    assert {
        "no key": ("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_MISSING"),
        "headless": ("INVALID_ARGUMENT", "FIELD_REQUIRED"),
        "empty": ("INVALID_ARGUMENT", "STATEMENT_UNREADABLE"),
        "large": ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED"),
        "format": ("UNIMPLEMENTED", "NOT_SERVED"),
        "reused": ("FAILED_PRECONDITION", "IDEMPOTENCY_KEY_REUSED"),
        "lag": ("UNIMPLEMENTED", "NOT_SERVED"),
        "run": ("NOT_FOUND", "RESOURCE_NOT_FOUND"),
        "token": ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"),
    } == {
        "no key": await refused(recon.StartRun(api.StartRunRequest())),
        "headless": await refused(start(headless(), metadata=key("h"))),
        "empty": await refused(start(empty(), metadata=key("e"))),
        "large": await refused(start(too_large(), metadata=key("l"))),
        "format": await refused(start(other_format(), metadata=key("f"))),
        "reused": await refused(load(recon, file_of([row(2, 2)]), word="import-one")),
        "lag": await refused(recon.GetLag(api.GetLagRequest())),
        "run": await refused(recon.GetRun(api.GetRunRequest(name="runs/run_x"))),
        "token": await refused(recon.ListRuns(api.ListRunsRequest(page_token="zz"))),
    }


async def test_the_audit_record_of_recon_verifies(served, recon_db):
    recon, _ = served
    await load(recon, file_of([row(n, 100) for n in range(1, 5)]), word="import-1")
    await recon.StartRun(cutoff(), metadata=key("run-1"))
    sealer = Sealer(recon_db)
    while await sealer.step():
        pass

    found = await recon.VerifyAuditLog(api.VerifyAuditLogRequest())

    assert (1 + 4 + 2, []) == (found.checked_row_count, list(found.findings))
