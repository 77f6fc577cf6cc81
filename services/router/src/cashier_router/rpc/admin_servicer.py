"""PaymentAdminService: the record of payments for operators and for recon."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import grpc
import orjson

from cashier.common.v1 import audit_pb2
from cashier.payments.v1 import (
    payment_admin_service_pb2,
    payment_admin_service_pb2_grpc,
    payment_pb2,
)
from cashier_common.db.audit import SealedStep
from cashier_common.db.verify import Finding
from cashier_common.errors import FieldInvalid, NotServed
from cashier_common.rpc.call import current_call
from cashier_router.rpc.payment_codec import step_operation, step_payment, to_time

# Events leave in pages of this size; a consumer that reads slowly holds one page, not the log.
EVENTS_PAGE_MAX = 200
# How often the log is asked for news when there was none.
NEWS_PERIOD_S = 0.1

Context = grpc.aio.ServicerContext[object, object]
_Kind = audit_pb2.AuditFinding.Kind
_API = payment_admin_service_pb2


class Record(Protocol):
    """The append-only record of this service."""

    async def sealed(self, shard: int, after: int, limit: int) -> Sequence[SealedStep]:
        """Sealed steps of a shard after a position, in order."""

    async def verify(self, shard: int | None, min_position: int) -> tuple[int, Sequence[Finding]]:
        """How many rows were checked, and what is wrong."""


class PaymentAdminServicer(payment_admin_service_pb2_grpc.PaymentAdminServiceServicer):
    """Serves operators and recon."""

    def __init__(self, record: Record, shard_count: int) -> None:
        self._record = record
        self._shard_count = shard_count

    async def StreamPaymentEvents(
        self, request: _API.StreamPaymentEventsRequest, context: Context
    ) -> AsyncIterator[_API.PaymentEvent]:
        """Sealed steps by position; stays open until the deadline and sends what comes."""
        call = current_call()
        self._require_shard(request.shard)
        position = request.after_position
        if position < 0:
            raise FieldInvalid("after_position", str(position), "0 or a position")
        while call.deadline.remaining_s() > NEWS_PERIOD_S:
            rows = await self._record.sealed(request.shard, position, EVENTS_PAGE_MAX)
            for row in rows:
                yield _event(row)
                position = row.position
            if len(rows) < EVENTS_PAGE_MAX:
                await asyncio.sleep(NEWS_PERIOD_S)

    async def VerifyAuditLog(
        self, request: _API.VerifyAuditLogRequest, context: Context
    ) -> _API.VerifyAuditLogResponse:
        """Checks the chain of the audit log."""
        shard = request.shard if request.HasField("shard") else None
        if shard is not None:
            self._require_shard(shard)
        if request.min_position < 0:
            raise FieldInvalid("min_position", str(request.min_position), "0 or a position")
        checked, findings = await self._record.verify(shard, request.min_position)
        return _API.VerifyAuditLogResponse(
            checked_row_count=checked,
            findings=[
                audit_pb2.AuditFinding(
                    kind=_Kind.Value(f"KIND_{finding.fault.upper()}"), shard=finding.shard,
                    position=finding.position, subject=finding.subject, version=finding.version,
                    detail=finding.detail,
                )
                for finding in findings
            ],
        )  # fmt: skip

    async def ExplainPayment(
        self, request: object, context: Context
    ) -> _API.ExplainPaymentResponse:
        """Not served yet."""
        raise NotServed(what="ExplainPayment")

    async def ReplayOperation(self, request: object, context: Context) -> payment_pb2.Payment:
        """Not served yet."""
        raise NotServed(what="ReplayOperation")

    async def ResolveInDoubt(self, request: object, context: Context) -> payment_pb2.Payment:
        """Not served yet."""
        raise NotServed(what="ResolveInDoubt")

    async def ListInDoubt(self, request: object, context: Context) -> _API.ListInDoubtResponse:
        """Not served yet."""
        raise NotServed(what="ListInDoubt")

    def _require_shard(self, shard: int) -> None:
        if not 0 <= shard < self._shard_count:
            raise FieldInvalid("shard", str(shard), f"between 0 and {self._shard_count - 1}")


def _event(row: SealedStep) -> _API.PaymentEvent:
    facts = orjson.loads(row.payload)
    event = _API.PaymentEvent(
        step=audit_pb2.SealedStep(
            shard=row.shard, position=row.position, merchant=row.merchant, subject=row.subject,
            version=row.version, actor=row.actor, action=row.action, before_state=row.before_state,
            after_state=row.after_state, payload_json=row.payload, payload_hash=row.payload_hash,
            chain_hash=row.chain_hash, traceparent=row.traceparent,
            record_time=to_time(row.record_time),
        ),
        payment=step_payment(facts["payment"]),
    )  # fmt: skip
    if "operation" in facts:
        event.operation.CopyFrom(step_operation(row.subject, facts["operation"]))
    if "settlement" in facts:
        settlement = facts["settlement"]
        event.settlement_terms.fee_schedule_version = settlement["fee_schedule_version"]
        event.settlement_terms.expected_fee_minor = settlement["expected_fee_minor"]
        event.settlement_terms.due_time.FromJsonString(settlement["due_time"])
    return event
