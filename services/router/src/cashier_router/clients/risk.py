"""The risk service as the flows see it."""

from collections.abc import AsyncIterator

import grpc

from cashier.common.v1 import customer_pb2, instrument_pb2
from cashier.payments.v1 import payment_service_pb2
from cashier.risk.v1 import (
    assessment_pb2,
    risk_admin_service_pb2,
    risk_admin_service_pb2_grpc,
    risk_service_pb2,
    risk_service_pb2_grpc,
)
from cashier_common.errors import IdempotencyKeyReused, PeerUnavailable, Refusal
from cashier_common.rpc.client import idempotency_key
from cashier_common.rpc.status import refusal_reason
from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.payment import Direction
from cashier_router.domain.progress import Assessment, RiskDecision
from cashier_router.domain.review import Reviewed, Ruling
from cashier_router.flows.ports import CaseDecision

_DECISIONS = {
    assessment_pb2.Assessment.DECISION_FRICTIONLESS: RiskDecision.FRICTIONLESS,
    assessment_pb2.Assessment.DECISION_STEP_UP: RiskDecision.STEP_UP,
    assessment_pb2.Assessment.DECISION_REVIEW: RiskDecision.REVIEW,
    assessment_pb2.Assessment.DECISION_DECLINE: RiskDecision.DECLINE,
}
_ASKED = (payment_service_pb2.CreatePaymentRequest, payment_service_pb2.CreatePayoutRequest)
_RULINGS = {
    assessment_pb2.Case.STATE_APPROVED: Ruling.APPROVED,
    assessment_pb2.Case.STATE_DECLINED: Ruling.DECLINED,
}
_PULL_ENDS = frozenset(
    {
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_REUSED = frozenset({"OPERATION_REUSED", "IDEMPOTENCY_KEY_REUSED"})


class RiskClient:
    """See `flows.ports.Risk`. Assess is idempotent by payment: no answer means nothing happened."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = risk_service_pb2_grpc.RiskServiceStub(channel)
        self._admin = risk_admin_service_pb2_grpc.RiskAdminServiceStub(channel)

    async def assess(
        self, command: CreatePayment, personal: object, *, timeout_s: float
    ) -> Assessment:
        """Risk's decision. `personal` is the request itself: only risk sees the customer's data."""
        if not isinstance(personal, _ASKED):
            raise TypeError(f"risk needs the request, got {type(personal).__name__}")
        request = assess_request(command, personal)
        try:
            with idempotency_key(command.payment):
                answer = await self._stub.Assess(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _refusal(command, error) from None
        decision = _DECISIONS.get(answer.decision, RiskDecision.REVIEW)
        reason = answer.reasons[0] if answer.reasons else None
        return Assessment(
            name=answer.name,
            decision=decision,
            reason=reason.code if reason else "",
            detail=reason.detail if reason else "",
            strict_accounts_only=answer.routing_advice.strict_accounts_only,
        )

    async def follow(
        self, shard: int, after: int, *, timeout_s: float
    ) -> AsyncIterator[CaseDecision]:
        """Decisions of a shard behind a position, as they come, until the time is up.

        None at all from a risk service that does not serve them yet: any restart order works.
        """
        request = risk_admin_service_pb2.StreamDecisionsRequest(shard=shard, after_position=after)
        try:
            async for event in self._admin.StreamDecisions(request, timeout=timeout_s):
                ruling = _RULINGS.get(event.case.state, Ruling.OPEN)
                yield CaseDecision(
                    shard=shard, position=event.position, merchant=event.merchant,
                    payment=event.payment, reviewed=Reviewed(event.case.name, ruling),
                )  # fmt: skip
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PULL_ENDS:
                raise PeerUnavailable(peer="risk") from None


def assess_request(
    command: CreatePayment,
    asked: payment_service_pb2.CreatePaymentRequest | payment_service_pb2.CreatePayoutRequest,
) -> risk_service_pb2.AssessRequest:
    """What risk is told: all but tokens and document, which only rails may see."""
    instrument = instrument_pb2.Instrument()
    instrument.CopyFrom(asked.instrument)
    instrument.ClearField("tokens")
    customer = customer_pb2.Customer()
    customer.CopyFrom(asked.customer)
    customer.ClearField("document")
    return risk_service_pb2.AssessRequest(
        merchant=command.merchant,
        payment=command.payment,
        direction=risk_service_pb2.DIRECTION_PAYOUT
        if command.direction is Direction.PAYOUT
        else risk_service_pb2.DIRECTION_PAYMENT,
        amount=asked.amount,
        instrument=instrument,
        customer=customer,
        device=asked.device
        if isinstance(asked, payment_service_pb2.CreatePaymentRequest) and asked.HasField("device")
        else None,
        jurisdiction=asked.jurisdiction,
        merchant_reference=asked.merchant_reference,
    )


def _refusal(command: CreatePayment, error: grpc.aio.AioRpcError) -> Refusal:
    info = refusal_reason(error)
    if info is not None and info.reason in _REUSED:
        return IdempotencyKeyReused(merchant=command.merchant)
    return PeerUnavailable(peer="risk")
