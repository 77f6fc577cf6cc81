"""Every moving method over gRPC: one operation is one request, and bad input writes nothing."""

import asyncio

import grpc
import pytest

from cashier.gateway.v1 import outcome_pb2
from tests.contract.test_gateway_service import (
    folder,
    gateway,
    postgres,
    refused,
    sandbox,
    service,
    stub,
)
from tests.support.gateway_process import (
    a_look_up,
    a_moving_request,
    keyed,
    next_of,
    prepared_request,
)
from tests.support.gateway_rig import an_operation, entries_of

__all__ = ["folder", "gateway", "postgres", "sandbox", "service", "stub"]
Outcome = outcome_pb2.Outcome
MOVES = {"Authorize": 1250, "Capture": 1250, "Void": 0, "Refund": -1250, "Payout": -1250}
METHODS = list(MOVES)
FOLLOW_UPS = ["Capture", "Void", "Refund"]
TARGET = {"Capture": "authorization", "Void": "authorization", "Refund": "capture"}


@pytest.mark.parametrize("method", METHODS)
async def test_twenty_calls_with_one_operation_move_it_once(stub, sandbox, method):
    request = await prepared_request(stub, method, an_operation())
    call = getattr(stub, method)

    outcomes = await asyncio.gather(
        *(call(request, metadata=keyed(request.operation)) for _ in range(20))
    )
    again = call(request, metadata=keyed(request.operation))
    await again

    entries = await entries_of(sandbox, request.operation)
    assert [MOVES[method]] == [entry["moved"] for entry in entries]
    assert {Outcome.STATE_SUCCEEDED} == {outcome.state for outcome in outcomes}
    assert 1 == len({outcome.processor_reference for outcome in outcomes})
    assert "true" == dict(await again.trailing_metadata()).get("idempotent-replayed")


@pytest.mark.parametrize("method", METHODS)
async def test_the_key_is_the_operation(stub, sandbox, method):
    request = await prepared_request(stub, method, an_operation())
    call = getattr(stub, method)

    other = await refused(call(request, metadata=keyed("another-key-of-16-chars")))
    none = await refused(call(request))

    assert ["FIELD_INVALID", "IDEMPOTENCY_KEY_MISSING"] == [other[1], none[1]]
    assert [] == await entries_of(sandbox, request.operation)


@pytest.mark.parametrize("method", METHODS)
async def test_another_request_under_the_operation_is_refused(stub, method):
    request = await prepared_request(stub, method, an_operation())
    await getattr(stub, method)(request, metadata=keyed(request.operation))
    request.amount.minor -= 1

    told = await refused(getattr(stub, method)(request, metadata=keyed(request.operation)))

    assert (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_REUSED") == told


@pytest.mark.parametrize("method", METHODS)
async def test_looking_up_closes_the_door_of_every_kind(stub, sandbox, method):
    request = await prepared_request(stub, method, an_operation())

    found = await stub.LookUp(a_look_up(request), metadata=keyed(request.operation))

    assert Outcome.STATE_NOT_FOUND == found.state
    assert (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_FENCED") == await refused(
        getattr(stub, method)(request, metadata=keyed(request.operation))
    )
    assert [] == await entries_of(sandbox, request.operation)


SPOILT = [
    pytest.param(lambda r: r.ClearField("merchant"), "FIELD_REQUIRED", id="no merchant"),
    pytest.param(lambda r: r.ClearField("amount"), "FIELD_REQUIRED", id="no amount"),
    pytest.param(lambda r: setattr(r.amount, "minor", 0), "FIELD_INVALID", id="zero"),
    pytest.param(lambda r: setattr(r.amount, "minor", -1), "FIELD_INVALID", id="negative"),
    pytest.param(lambda r: setattr(r.amount, "asset_code", "XXQ"), "ASSET_UNKNOWN", id="asset"),
]


@pytest.mark.parametrize(("change", "reason"), SPOILT)
@pytest.mark.parametrize("method", METHODS)
async def test_a_bad_field_is_refused_with_its_reason(stub, sandbox, method, change, reason):
    request = await prepared_request(stub, method, an_operation())
    change(request)

    told = await refused(getattr(stub, method)(request, metadata=keyed(request.operation)))

    assert (grpc.StatusCode.INVALID_ARGUMENT, reason) == told
    assert [] == await entries_of(sandbox, request.operation)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda r, f: setattr(r, f, "payments/x"), id="no operation"),
        pytest.param(lambda r, f: setattr(r, f, an_operation()), id="another payment"),
        pytest.param(lambda r, f: setattr(r, f, r.operation), id="itself"),
        pytest.param(lambda r, f: setattr(r, f, next_of(next_of(r.operation))), id="unknown"),
        pytest.param(lambda r, f: setattr(r.amount, "asset_code", "USD"), id="another asset"),
    ],
)
@pytest.mark.parametrize("method", FOLLOW_UPS)
async def test_what_cannot_be_acted_on_is_refused(stub, sandbox, method, spoil):
    request = await prepared_request(stub, method, an_operation())
    spoil(request, TARGET[method])

    told = await refused(getattr(stub, method)(request, metadata=keyed(request.operation)))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") == told
    assert [] == await entries_of(sandbox, request.operation)


async def test_a_payout_needs_a_token_that_its_account_understands(stub, sandbox):
    request = a_moving_request("Payout", an_operation())
    request.instrument.tokens[0].processor_account = "another"

    told = await refused(stub.Payout(request, metadata=keyed(request.operation)))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") == told
    assert [] == await entries_of(sandbox, request.operation)


async def test_a_deadline_too_short_is_in_doubt_whatever_is_asked(stub, sandbox):
    request = a_moving_request("Payout", an_operation(), "tok_slow_1500")

    early = await stub.Payout(request, metadata=keyed(request.operation), timeout=0.8)
    late = await stub.Payout(request, metadata=keyed(request.operation))

    assert [Outcome.STATE_IN_DOUBT, Outcome.STATE_SUCCEEDED] == [early.state, late.state]
