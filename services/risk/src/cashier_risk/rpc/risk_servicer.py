"""Serves `RiskService`: one score for every rail."""

from typing import Any, NoReturn

import grpc.aio

from cashier.risk.v1 import assessment_pb2, risk_service_pb2, risk_service_pb2_grpc
from cashier_common.errors import IdempotencyKeyMissing, NotServed
from cashier_common.rpc.call import Call, current_call
from cashier_risk.flows.assess import assess
from cashier_risk.flows.ports import By, Desk
from cashier_risk.flows.report_outcome import report_outcome
from cashier_risk.rpc.answers import assessment_message
from cashier_risk.rpc.asked import asked, report

Context = grpc.aio.ServicerContext[Any, Any]


class RiskServicer(risk_service_pb2_grpc.RiskServiceServicer):
    """Translates; the flows decide."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def Assess(
        self, request: risk_service_pb2.AssessRequest, context: Context
    ) -> assessment_pb2.Assessment:
        """Decide about a payment, once."""
        del context
        call = current_call()
        found = await assess(asked(request), _by(call), self._desk)
        if found.replayed:
            call.mark_replayed()
        return assessment_message(found.assessment)

    async def ReportOutcome(
        self, request: risk_service_pb2.ReportOutcomeRequest, context: Context
    ) -> risk_service_pb2.ReportOutcomeResponse:
        """Keep what became of a payment, once per idempotency key."""
        del context
        call = current_call()
        if call.idempotency_key is None:  # the pipeline refused it already
            raise IdempotencyKeyMissing(method=call.method, problem="missing")
        if await report_outcome(report(request), call.idempotency_key, _by(call), self._desk):
            call.mark_replayed()
        return risk_service_pb2.ReportOutcomeResponse()

    async def ScreenParty(
        self, request: risk_service_pb2.ScreenPartyRequest, context: Context
    ) -> NoReturn:
        """Not served: no list is imported."""
        del request, context
        raise NotServed(what="ScreenParty")

    async def ScreenAddress(
        self, request: risk_service_pb2.ScreenAddressRequest, context: Context
    ) -> NoReturn:
        """Not served: no list is imported."""
        del request, context
        raise NotServed(what="ScreenAddress")


def _by(call: Call) -> By:
    return By(call.caller, call.traceparent)
