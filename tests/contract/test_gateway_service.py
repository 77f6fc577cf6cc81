"""The gateway over real gRPC, as a process of its own: what callers get and what they are told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.gateway.v1 import gateway_service_pb2 as pb
from cashier.gateway.v1 import outcome_pb2
from cashier_common.db.record import shard_of
from cashier_common.rpc.status import refusal_reason
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_process import (
    GatewayProcess,
    a_look_up,
    a_request,
    keyed,
    stub_of,
)
from tests.support.gateway_rig import (
    MERCHANT,
    accounts_file,
    an_operation,
    charges,
    running_sandbox,
    sandbox_account,
)
from tests.support.postgres_fixture import Copies, postgres
from tests.support.sandbox_process import Sandbox

__all__ = ["postgres"]
Outcome = outcome_pb2.Outcome


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as process:
        yield process


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sandbox):
    path = tmp_path_factory.mktemp("gateway")
    accounts_file(path / "accounts.yaml", sandbox_account(sandbox))
    return path


@pytest.fixture(scope="module")
def gateway(folder, service) -> Iterator[GatewayProcess]:
    serving = GatewayProcess(folder / "serve", service, folder / "accounts.yaml")
    working = GatewayProcess(folder / "work", service, folder / "accounts.yaml")
    try:
        serving.start()
        working.start("work")
        yield serving
    finally:
        serving.kill()
        working.kill()


@pytest.fixture
async def stub(gateway: GatewayProcess) -> AsyncIterator[Any]:
    async with gateway.channel() as channel:
        yield stub_of(channel)


async def refused(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = refusal_reason(caught.value)
    assert info is not None
    assert "gateway.cashier" == info.domain
    return caught.value.code(), info.reason


async def test_fifty_calls_with_one_operation_are_one_charge(stub, sandbox):
    operation = an_operation()
    request = a_request(operation)

    outcomes = await asyncio.gather(
        *(stub.Authorize(request, metadata=keyed(operation)) for _ in range(50))
    )

    assert 1 == len(await charges(sandbox, operation))
    assert {outcomes[0].SerializeToString(deterministic=True)} == {
        outcome.SerializeToString(deterministic=True) for outcome in outcomes
    }
    assert Outcome.STATE_SUCCEEDED == outcomes[0].state
    assert (1250, "EUR") == (outcomes[0].amount.minor, outcomes[0].amount.asset_code)
    assert (61, "v1") == (
        outcomes[0].settlement.expected_fee.minor,
        outcomes[0].settlement.fee_schedule_version,
    )


async def test_a_repeat_says_that_it_is_one(stub):
    operation = an_operation()
    first = stub.Authorize(a_request(operation), metadata=keyed(operation))
    await first

    again = stub.Authorize(a_request(operation), metadata=keyed(operation))
    await again

    trailing = [dict(await call.trailing_metadata()) for call in (first, again)]
    assert [None, "true"] == [found.get("idempotent-replayed") for found in trailing]


async def test_a_deadline_too_short_is_answered_in_doubt_and_not_failed(stub):
    operation = an_operation()
    request = a_request(operation, "tok_slow_1500")

    early = await stub.Authorize(request, metadata=keyed(operation), timeout=0.8)
    late = await stub.Authorize(request, metadata=keyed(operation))

    assert [Outcome.STATE_IN_DOUBT, Outcome.STATE_SUCCEEDED] == [early.state, late.state]


async def test_looking_up_closes_the_door(stub, sandbox):
    operation = an_operation()
    request = a_request(operation)

    found = await stub.LookUp(a_look_up(request), metadata=keyed(operation))

    assert Outcome.STATE_NOT_FOUND == found.state
    assert (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_FENCED") == await refused(
        stub.Authorize(request, metadata=keyed(operation))
    )
    assert [] == await charges(sandbox, operation)


async def test_looking_without_closing_promises_nothing(stub):
    request = a_request(an_operation())

    found = await stub.LookUp(
        a_look_up(request, close_door=False), metadata=keyed(request.operation)
    )

    assert Outcome.STATE_IN_DOUBT == found.state


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda r: r.ClearField("instrument"), "FIELD_REQUIRED", id="no instrument"),
        pytest.param(lambda r: r.ClearField("amount"), "FIELD_REQUIRED", id="no amount"),
        pytest.param(lambda r: setattr(r.amount, "minor", 0), "FIELD_INVALID", id="zero"),
        pytest.param(lambda r: setattr(r.amount, "minor", -5), "FIELD_INVALID", id="negative"),
        pytest.param(lambda r: setattr(r.amount, "asset_code", "XXQ"), "ASSET_UNKNOWN", id="asset"),
        pytest.param(
            lambda r: setattr(r.amount, "asset_code", ""), "FIELD_REQUIRED", id="no asset"
        ),
        pytest.param(
            lambda r: setattr(r, "processor_account", "nobody"), "FIELD_INVALID", id="account"
        ),
        pytest.param(lambda r: r.instrument.ClearField("tokens"), "FIELD_INVALID", id="no token"),
        pytest.param(lambda r: setattr(r.instrument, "method", 99), "FIELD_INVALID", id="method"),
        pytest.param(
            lambda r: setattr(r, "merchant_reference", "4242 4242 4242 4242"),
            "CARD_NUMBER_REFUSED",
            id="card number",
        ),
    ],
)
async def test_bad_input_is_refused_with_its_reason(stub, sandbox, change, reason):
    request = a_request(an_operation())
    change(request)

    told = await refused(stub.Authorize(request, metadata=keyed(request.operation)))

    assert (grpc.StatusCode.INVALID_ARGUMENT, reason) == told
    assert [] == await charges(sandbox, request.operation)


async def test_the_key_is_the_operation(stub):
    request = a_request(an_operation())

    other = await refused(stub.Authorize(request, metadata=keyed("another-key-of-16-chars")))
    none = await refused(stub.Authorize(request))
    odd = await refused(
        stub.Authorize(
            a_request("operations/of-somebody"), metadata=keyed("operations/of-somebody")
        )
    )

    assert ["FIELD_INVALID", "IDEMPOTENCY_KEY_MISSING", "FIELD_INVALID"] == [
        other[1], none[1], odd[1],
    ]  # fmt: skip


async def test_a_currency_that_the_account_does_not_take_is_a_precondition(stub):
    request = a_request(an_operation(), asset="GBP")

    told = await refused(stub.Authorize(request, metadata=keyed(request.operation)))

    assert (grpc.StatusCode.FAILED_PRECONDITION, "NO_ELIGIBLE_ACCOUNT") == told


async def test_capabilities_name_no_secret(stub):
    answer = await stub.ListCapabilities(pb.ListCapabilitiesRequest())

    [account] = answer.accounts
    assert ("gateway", "one", "sandbox") == (answer.rail, account.account_id, account.processor)
    assert account.capabilities.idempotency_keys
    assert money_pb2.Money(minor=25, asset_code="EUR") == account.fee_schedule.fixed[0]
    assert b"key-of-account-one" not in answer.SerializeToString()


async def test_health_is_told_by_account_and_segment_and_watched(stub):
    operation = an_operation()
    watching = aiter(stub.WatchHealth(pb.WatchHealthRequest(), timeout=20))
    before = (await anext(watching)).compute_time.ToDatetime()

    await stub.Authorize(a_request(operation), metadata=keyed(operation))
    while True:
        told = await anext(watching)
        segments = {health.asset_code: health for health in told.accounts}
        if "EUR" in segments and segments["EUR"].success_count > 0:
            break

    whole, card = segments[""], segments["EUR"]
    assert {"one"} == {health.processor_account for health in told.accounts}
    assert instrument_pb2.PAYMENT_METHOD_CARD == card.method
    assert whole.sample_count >= card.sample_count > 0
    assert pb.GetHealthResponse.AccountHealth.BREAKER_STATE_CLOSED == card.breaker_state
    assert not card.replicas_agree  # there is no Redis here
    assert card.latency_p99_ms >= card.latency_p50_ms > 0
    assert before < told.compute_time.ToDatetime()
    assert {"one"} == {
        health.processor_account
        for health in (await stub.GetHealth(pb.GetHealthRequest())).accounts
    }


async def test_a_late_outcome_is_told_to_who_listens_and_again_to_who_was_away(stub):
    operation = an_operation()
    request = a_request(operation, "tok_lost_answer")
    await stub.Authorize(request, metadata=keyed(operation))
    heard = asyncio.create_task(hear(stub, operation))

    await stub.LookUp(a_look_up(request), metadata=keyed(operation))
    event = await heard

    assert (Outcome.STATE_SUCCEEDED, "LOOK_UP") == (event.outcome.state, event.source)
    assert event == await hear(stub, operation, after=event.position - 1)


async def hear(stub, operation: str, after: int = 0):
    call = stub.StreamOutcomes(
        pb.StreamOutcomesRequest(shard=shard_of(MERCHANT), after_position=after), timeout=20
    )
    async for event in call:
        if event.outcome.operation == operation:
            call.cancel()
            return event
    raise RuntimeError("the stream ended")


async def test_no_secret_is_in_the_log(stub, gateway):
    operation = an_operation()
    await stub.Authorize(a_request(operation, "tok_ok.kept-quiet"), metadata=keyed(operation))

    log = gateway.log.read_text()

    assert "rpc" in log
    assert "kept-quiet" not in log
    assert "key-of-account-one" not in log
