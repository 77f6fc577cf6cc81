"""PaymentAdminService: the record of payments for operators and for recon."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

import grpc

from cashier.payments.v1 import (
    payment_admin_service_pb2,
    payment_admin_service_pb2_grpc,
    payment_pb2,
)
from cashier_common.db.audit import SealedStep
from cashier_common.db.verify import Verification
from cashier_common.errors import NotServed
from cashier_common.rpc.call import current_call
from cashier_common.rpc.paging import Pager
from cashier_common.rpc.record import require_place, verify_audit_log
from cashier_common.tasks import TaskGroup
from cashier_router.domain.commands import Override
from cashier_router.flows.override_operation import override
from cashier_router.flows.ports import World
from cashier_router.rpc.payment_codec import to_proto
from cashier_router.rpc.run_wish import run_wish
from cashier_router.rpc.step_codec import to_event
from cashier_router.rpc.wish_codec import to_replay, to_resolution

# Events leave in pages of this size; a consumer that reads slowly holds one page, not the log.
EVENTS_PAGE_MAX = 200
# How often the log is asked for news when there was none.
NEWS_PERIOD_S = 0.1

Context = grpc.aio.ServicerContext[object, object]
_API = payment_admin_service_pb2


class Record(Protocol):
    """The append-only record of this service."""

    async def sealed(self, shard: int, after: int, limit: int) -> Sequence[SealedStep]:
        """Sealed steps of a shard after a position, in order."""

    async def verify(self, shard: int | None, from_position: int) -> Verification:
        """Check one shard (None: all) from a position on."""


class PaymentAdminServicer(payment_admin_service_pb2_grpc.PaymentAdminServiceServicer):
    """Serves operators and recon."""

    def __init__(self, record: Record, world: World, pager: Pager, tasks: TaskGroup) -> None:
        self._record = record
        self._world = world
        self._pager = pager
        self._tasks = tasks

    async def StreamPaymentEvents(
        self, request: _API.StreamPaymentEventsRequest, context: Context
    ) -> AsyncIterator[_API.PaymentEvent]:
        """Sealed steps by position; stays open until the deadline and sends what comes."""
        call = current_call()
        require_place(request)
        position = request.after_position
        while call.deadline.remaining_s() > NEWS_PERIOD_S:
            rows = await self._record.sealed(request.shard, position, EVENTS_PAGE_MAX)
            for row in rows:
                yield to_event(row)
                position = row.position
            if len(rows) < EVENTS_PAGE_MAX:
                await asyncio.sleep(NEWS_PERIOD_S)

    async def VerifyAuditLog(
        self, request: _API.VerifyAuditLogRequest, context: Context
    ) -> _API.VerifyAuditLogResponse:
        """Checks the chain of the audit log."""
        return await verify_audit_log(request, self._record.verify, _API.VerifyAuditLogResponse)

    async def ExplainPayment(
        self, request: object, context: Context
    ) -> _API.ExplainPaymentResponse:
        """Not served yet."""
        raise NotServed(what="ExplainPayment")

    async def ReplayOperation(
        self, request: _API.ReplayOperationRequest, context: Context
    ) -> payment_pb2.Payment:
        """Looks an operation up and opens a new one."""
        return await self._overridden(to_replay(request, current_call().idempotency_key or ""))

    async def ResolveInDoubt(
        self, request: _API.ResolveInDoubtRequest, context: Context
    ) -> payment_pb2.Payment:
        """Ends a doubt by an operator's proof."""
        return await self._overridden(to_resolution(request, current_call().idempotency_key or ""))

    async def ListInDoubt(
        self, request: _API.ListInDoubtRequest, context: Context
    ) -> _API.ListInDoubtResponse:
        """Payments that need evidence, oldest first."""
        bound = ["ListInDoubt", request.merchant]
        page = self._pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound
        )
        after = None
        if page.after is not None:
            time, merchant, name = (str(part) for part in page.after)
            after = (datetime.fromisoformat(time), merchant, name)
        found = await self._world.store.in_doubt(
            [request.merchant] if request.merchant else None, after=after, count=page.size + 1
        )
        shown = found[: page.size]
        token = ""
        if len(found) > page.size:
            last = shown[-1]
            key = (last.create_time.isoformat(), last.merchant, last.name)
            token = self._pager.token(key, bound_to=bound)
        return _API.ListInDoubtResponse(
            payments=[to_proto(payment) for payment in shown], next_page_token=token
        )

    async def _overridden(self, command: Override) -> payment_pb2.Payment:
        done = await run_wish(
            lambda actor, ends_s: override(command, actor, self._world, caller_ends_s=ends_s),
            command, self._world, self._tasks,
        )  # fmt: skip
        return to_proto(done)
