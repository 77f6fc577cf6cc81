"""Health of the accounts as the contract has it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cashier.common.v1 import instrument_pb2
from cashier.gateway.v1 import gateway_service_pb2
from cashier_common.health.breaker import State
from cashier_common.health.reading import Detail, figures
from cashier_gateway.domain.health import parts_of
from cashier_gateway.rpc.codec import METHOD_PREFIX

_Health = gateway_service_pb2.GetHealthResponse.AccountHealth
_STATES: Final = {state: _Health.BreakerState.Value(f"BREAKER_STATE_{state}") for state in State}


def health_to_proto(
    details: Iterable[Detail], at: datetime
) -> gateway_service_pb2.GetHealthResponse:
    """Every segment of every account; the whole of an account has neither method nor asset."""
    response = gateway_service_pb2.GetHealthResponse(
        accounts=[_account_health(detail) for detail in details]
    )
    response.compute_time.FromDatetime(at)
    return response


def _account_health(
    detail: Detail,
) -> gateway_service_pb2.GetHealthResponse.AccountHealth:
    reading = detail.reading
    method, asset, region = parts_of(reading.segment)
    health = _Health(
        processor_account=reading.scope,
        method=instrument_pb2.PaymentMethod.Value(f"{METHOD_PREFIX}{method or 'UNSPECIFIED'}"),
        asset_code=asset,
        country_group=region,
        breaker_state=_STATES[reading.state],
        replicas_agree=reading.is_shared,
    )
    for name, figure in figures(detail).items():
        setattr(health, name, figure)
    if reading.state is State.OPEN:
        health.retry_time.FromMilliseconds(detail.breaker.retry_at_ms)
    return health
