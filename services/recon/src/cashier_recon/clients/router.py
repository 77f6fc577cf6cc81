"""The router's sealed events, pulled over gRPC and turned into facts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from cashier.payments.v1 import dispute_pb2, payment_pb2
from cashier.payments.v1 import payment_admin_service_pb2 as admin
from cashier.payments.v1 import payment_admin_service_pb2_grpc as admin_grpc
from cashier_common.errors import CursorExpired, PeerUnavailable
from cashier_recon.domain.dispute_fact import DisputeFact
from cashier_recon.domain.payment_fact import OperationKind, PaymentFact
from cashier_recon.domain.posting import FedEvent

PEER = "router"
STREAM_S = 840.0  # below the 900 s after which servers end a stream
_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNIMPLEMENTED,  # a router that is older than we are
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)
_KINDS = {
    number: OperationKind(name.removeprefix("KIND_"))
    for name, number in payment_pb2.Operation.Kind.items()
    if name != "KIND_UNSPECIFIED"
}
_DISPUTE = dispute_pb2.Dispute
_STAGES = {n: name.removeprefix("STAGE_") for name, n in _DISPUTE.Stage.items()}
_STANDINGS = {n: name.removeprefix("STATE_") for name, n in _DISPUTE.State.items()}
_PROBLEMS = {n: name.removeprefix("PROBLEM_") for name, n in _DISPUTE.Problem.items()}
_FIRST_STAGES = (_DISPUTE.STAGE_INQUIRY, _DISPUTE.STAGE_CHARGEBACK)
_STATES = {
    number: name.removeprefix("STATE_") for name, number in payment_pb2.Operation.State.items()
}


class RouterEvents:
    """`PaymentAdminService.StreamPaymentEvents` of the router."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = admin_grpc.PaymentAdminServiceStub(channel)

    async def events(self, shard: int, *, after: int) -> AsyncIterator[FedEvent]:
        """Events behind `after` until the stream ends, which it does now and then.

        PeerUnavailable when the router is away or does not serve events; CursorExpired when it no
        longer keeps what follows `after`; other RPC errors as they are.
        """
        request = admin.StreamPaymentEventsRequest(shard=shard, after_position=after)
        call = self._stub.StreamPaymentEvents(request, timeout=STREAM_S)
        try:
            async for event in call:
                yield fed_event(event, shard)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.aio.AioRpcError) else None
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                return
            if code is grpc.StatusCode.OUT_OF_RANGE:
                raise CursorExpired(shard=shard, position=after) from error
            if code in _AWAY:
                raise PeerUnavailable(PEER) from error
            raise
        finally:
            call.cancel()


def fed_event(event: admin.PaymentEvent, shard: int) -> FedEvent:
    """The position, and the fact where the step was about an operation."""
    step = event.step
    if event.HasField("dispute_change"):
        return FedEvent(step.position, dispute=_dispute(event, shard))
    if not event.HasField("operation"):
        return FedEvent(step.position, None)
    operation, payment = event.operation, event.payment
    terms = event.settlement_terms if event.HasField("settlement_terms") else None
    return FedEvent(
        step.position,
        PaymentFact(
            shard=shard,
            position=step.position,
            at=_time(step.record_time),
            merchant=payment.merchant or step.merchant,
            payment=payment.name,
            operation=operation.name,
            kind=_KINDS.get(operation.kind, OperationKind.UNKNOWN),
            state=_STATES.get(operation.state, "UNKNOWN"),
            rail=operation.rail,
            processor_account=operation.processor_account,
            processor_reference=operation.processor_reference,
            amount=operation.amount.minor,
            asset=operation.amount.asset_code,
            captures=payment.capture_method != payment_pb2.CAPTURE_METHOD_MANUAL,
            pays_out=payment.direction == payment_pb2.Payment.DIRECTION_PAYOUT,
            fee_schedule_version=terms.fee_schedule_version if terms else "",
            expected_fee=terms.expected_fee_minor if terms else None,
            due_time=_time(terms.due_time) if terms and terms.HasField("due_time") else None,
            traceparent=step.traceparent,
        ),
    )


def _dispute(event: admin.PaymentEvent, shard: int) -> DisputeFact:
    change, step = event.dispute_change, event.step
    dispute = change.dispute
    told = dispute.HasField("fee") and change.withdrawn_change.minor > 0
    return DisputeFact(
        shard=shard,
        position=step.position,
        at=_time(step.record_time),
        merchant=dispute.merchant or step.merchant,
        payment=event.payment.name,
        dispute=dispute.name,
        version=step.version,
        processor_account=dispute.processor_account,
        processor_reference=dispute.processor_reference,
        stage=_STAGES.get(dispute.stage, "UNKNOWN"),
        state=_STANDINGS.get(dispute.state, "UNKNOWN"),
        problem=_PROBLEMS.get(dispute.problem, "UNKNOWN"),
        asset=change.withdrawn_change.asset_code,
        withdrawn=change.withdrawn_change.minor,
        returned=change.returned_change.minor,
        lost=change.lost_change.minor,
        # Of a second chargeback's withdrawal no fee of its own was told: its line says it.
        fee=dispute.fee.minor if told and dispute.stage in _FIRST_STAGES else None,
        liability_shifted=dispute.liability_shifted,
        traceparent=step.traceparent,
    )


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
