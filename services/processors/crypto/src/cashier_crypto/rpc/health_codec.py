"""Health of the accounts as the contract has it: an account is as well as its worst node."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from cashier.common.v1 import instrument_pb2
from cashier.gateway.v1 import gateway_service_pb2
from cashier_common.health.breaker import State
from cashier_common.health.reading import Detail, figures

_Health = gateway_service_pb2.GetHealthResponse.AccountHealth
_STATES: Final = {state: _Health.BreakerState.Value(f"BREAKER_STATE_{state}") for state in State}


def health_to_proto(
    accounts: Iterable[str], details: Sequence[Detail], at: datetime
) -> gateway_service_pb2.GetHealthResponse:
    """Every account with the figures of its worst node: a deposit needs them all to agree."""
    response = gateway_service_pb2.GetHealthResponse()
    response.compute_time.FromDatetime(at)
    if not details:
        return response
    worst = min(details, key=lambda detail: detail.reading.weight_ppm)
    for account in accounts:
        health = response.accounts.add(
            processor_account=account,
            method=instrument_pb2.PAYMENT_METHOD_UNSPECIFIED,
            breaker_state=_STATES[worst.reading.state],
            replicas_agree=worst.reading.is_shared,
        )
        for name, figure in figures(worst).items():
            setattr(health, name, figure)
    return response
