"""ReconService: statements in, exceptions out."""

import asyncio
from collections.abc import AsyncIterator
from typing import NoReturn

import grpc.aio

from cashier.recon.v1 import exception_pb2, recon_service_pb2_grpc
from cashier.recon.v1 import recon_service_pb2 as api
from cashier_common.errors import (
    FieldInvalid,
    FieldRequired,
    IdempotencyInFlight,
    NotServed,
    ResourceNotFound,
)
from cashier_common.rpc.call import current_call
from cashier_common.rpc.paging import Pager
from cashier_common.rpc.record import Verify, verify_audit_log
from cashier_common.tasks import TaskGroup
from cashier_recon.domain.import_result import Header
from cashier_recon.flows.decide_exception import Decider, Decision
from cashier_recon.flows.import_statement import Importer
from cashier_recon.flows.reports import ExceptionFilter, Reports
from cashier_recon.flows.start_run import Reconciler
from cashier_recon.rpc import codec

Context = grpc.aio.ServicerContext[object, object]
ANSWER_RESERVE_S = 0.25  # what is kept of the caller's deadline to answer the run as it stands


class ReconServicer(recon_service_pb2_grpc.ReconServiceServicer):
    """Translates; the flows decide. GetLag is not served yet."""

    def __init__(
        self,
        *,
        importer: Importer,
        reconciler: Reconciler,
        decider: Decider,
        reports: Reports,
        pager: Pager,
        tasks: TaskGroup,
        verify: Verify,
    ) -> None:
        self._importer = importer
        self._reconciler = reconciler
        self._decider = decider
        self._reports = reports
        self._pager = pager
        self._tasks = tasks
        self._verify = verify

    async def ImportStatement(
        self, request_iterator: AsyncIterator[api.ImportStatementRequest], context: Context
    ) -> api.Statement:
        """Header first, then the bytes in order."""
        del context
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("content") != "header":
            raise FieldRequired("header")
        header = Header(
            processor_account=first.header.processor_account,
            format=first.header.format,
            file_name=first.header.file_name,
            period_end_time=codec.time_of(first.header, "period_end_time"),
        )
        statement, was_there = await self._importer.run(
            header, _data(request_iterator), codec.key_of(None)
        )
        if was_there:
            current_call().mark_replayed()
        return codec.statement_message(statement)

    async def StartRun(self, request: api.StartRunRequest, context: Context) -> api.Run:
        """The run at its end, or as it stands near the deadline: it goes on either way."""
        del context
        key = codec.key_of(request)
        work = self._tasks.start(
            self._reconciler.start(
                cutoff=codec.time_of(request, "cutoff_time"),
                processor_accounts=list(request.processor_accounts),
                key=key,
            )
        )
        patience_s = max(0.0, current_call().deadline.remaining_s() - ANSWER_RESERVE_S)
        await asyncio.wait({work}, timeout=patience_s)
        if work.done():
            run, was_there = work.result()
            if was_there:
                current_call().mark_replayed()
            return codec.run_message(run)
        standing = await self._reconciler.of_key(key)
        if standing is None:
            raise IdempotencyInFlight
        return codec.run_message(standing)

    async def GetRun(self, request: api.GetRunRequest, context: Context) -> api.Run:
        """One run."""
        del context
        run = await self._reports.run(request.name)
        if run is None:
            raise ResourceNotFound(request.name)
        return codec.run_message(run)

    async def ListRuns(
        self, request: api.ListRunsRequest, context: Context
    ) -> api.ListRunsResponse:
        """Runs, newest first."""
        del context
        bound_to = ("runs",)
        page = self._pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound_to
        )
        found = await self._reports.runs(after=page.after, size=page.size)
        shown, token = found[: page.size], ""
        if len(found) > page.size:
            last = (shown[-1].create_time.isoformat(), shown[-1].run_id)
            token = self._pager.token(last, bound_to=bound_to)
        return api.ListRunsResponse(runs=map(codec.run_message, shown), next_page_token=token)

    async def ListExceptions(
        self, request: api.ListExceptionsRequest, context: Context
    ) -> api.ListExceptionsResponse:
        """Exceptions, most urgent first."""
        del context
        states = sorted(codec.state_words(request.states))
        types = sorted(request.types)
        account = request.processor_account
        bound_to = ("exceptions", ",".join(states), ",".join(types), account)
        page = self._pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound_to
        )
        wanted = ExceptionFilter(states=states, types=types, processor_account=account)
        found = await self._reports.exceptions(wanted, after=page.after, size=page.size)
        shown, token = found[: page.size], ""
        if len(found) > page.size:
            last = shown[-1].found
            token = self._pager.token(
                (last.due_time.isoformat(), last.exception_id), bound_to=bound_to
            )
        return api.ListExceptionsResponse(
            exceptions=map(codec.exception_message, shown), next_page_token=token
        )

    async def GetException(
        self, request: api.GetExceptionRequest, context: Context
    ) -> exception_pb2.ReconException:
        """One exception."""
        del context
        exception = await self._reports.exception(request.name)
        if exception is None:
            raise ResourceNotFound(request.name)
        return codec.exception_message(exception)

    async def ClaimException(
        self, request: api.ClaimExceptionRequest, context: Context
    ) -> exception_pb2.ReconException:
        """Take an exception."""
        del context
        decision = Decision(name=request.name, operator=request.operator, etag=request.etag)
        return await self._decided(decision, request)

    async def DisposeException(
        self, request: api.DisposeExceptionRequest, context: Context
    ) -> exception_pb2.ReconException:
        """Decide an exception."""
        del context
        decision = Decision(
            name=request.name,
            operator=request.operator,
            etag=request.etag,
            choice=request.disposition,
            reason=request.reason,
            evidence=request.evidence,
        )
        return await self._decided(decision, request)

    async def GetLag(self, request: api.GetLagRequest, context: Context) -> NoReturn:
        """Not served."""
        del request, context
        raise NotServed(what="GetLag")

    async def GetSummary(
        self, request: api.GetSummaryRequest, context: Context
    ) -> api.GetSummaryResponse:
        """Where everything stands."""
        del context
        return codec.summary_message(await self._reports.summary(request.processor_account))

    async def VerifyAuditLog(
        self, request: api.VerifyAuditLogRequest, context: Context
    ) -> api.VerifyAuditLogResponse:
        """Check the chain of the audit log."""
        del context
        return await verify_audit_log(request, self._verify, api.VerifyAuditLogResponse)

    async def _decided(
        self, decision: Decision, request: api.ClaimExceptionRequest | api.DisposeExceptionRequest
    ) -> exception_pb2.ReconException:
        exception, was_there = await self._decider.decide(decision, codec.key_of(request))
        if was_there:
            current_call().mark_replayed()
        return codec.exception_message(exception)


async def _data(parts: AsyncIterator[api.ImportStatementRequest]) -> AsyncIterator[bytes]:
    async for part in parts:
        if part.WhichOneof("content") != "data":
            raise FieldInvalid("content", "header", "data: only the first message is the header")
        yield part.data
