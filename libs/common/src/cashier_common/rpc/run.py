"""One call under way: how it begins, and every way in which it can end."""

import asyncio
import time
from collections.abc import Awaitable
from typing import NoReturn, TypeVar

import grpc
import grpc.aio
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from cashier_common.errors import DeadlineExceeded, Kind, LimitExceeded, Refusal
from cashier_common.logs import CallLog
from cashier_common.rpc.admission import Arrival, Context
from cashier_common.rpc.status import (
    BY_NUMBER,
    CODES,
    INTERNAL_REASON,
    internal_status,
    to_status,
)
from cashier_common.telemetry import current_trace

CONCURRENT_CALLS_MAX = 1_000  # per process; beyond it a caller is told at once instead of waiting
TRACE_ID = "trace-id"
OK = grpc.StatusCode.OK.name
LOG = structlog.stdlib.get_logger("cashier.rpc")

Answer = TypeVar("Answer")


class Runs:
    """All calls of one server."""

    def __init__(self, domain: str, call_log: CallLog) -> None:
        self.domain = domain
        self.call_log = call_log
        self.under_way = 0


class Run:
    """One call of a servicer's method."""

    __slots__ = ("_begun", "_runs", "_started_at", "arrival")

    def __init__(self, runs: Runs, arrival: Arrival) -> None:
        self.arrival = arrival
        self._runs = runs
        self._started_at = time.perf_counter()
        self._begun = False

    def begin(self) -> None:
        """Take a place and learn the trace id; LimitExceeded when all places are taken."""
        call, found = self.arrival.call, self.arrival.trace
        if found is None:
            found = current_trace()
        if found is not None:
            call.trace_id = found.trace_id
        if self._runs.under_way >= CONCURRENT_CALLS_MAX:
            raise LimitExceeded(
                what="the number of calls under way", limit=str(CONCURRENT_CALLS_MAX)
            )
        self._runs.under_way += 1
        self._begun = True

    async def limited(self, work: Awaitable[Answer], seconds: float | None) -> Answer:
        """Await the work so long, then DeadlineExceeded; None where the transport ends it."""
        if seconds is None:
            return await work
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                return await work
        except TimeoutError:
            if scope.expired():
                raise DeadlineExceeded(self.arrival.call.method) from None
            raise

    def answered(self, context: Context) -> None:
        """The method has answered: name the trace, and write the line."""
        own = context.trailing_metadata() or ()
        context.set_trailing_metadata((*own, *self._trailing()))
        number = context.code()  # a servicer may have set one instead of raising
        self._write(BY_NUMBER[number].name if isinstance(number, int) else OK, "")

    def failed(self, error: BaseException, context: Context) -> status_pb2.Status:
        """The status to send; raises the error again when it is not ours to answer."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # one task of a group refused
        if isinstance(error, Refusal) and error.kind is not Kind.INTERNAL:
            self._write(CODES[error.kind].name, error.reason)
            return to_status(error, self._runs.domain)
        if isinstance(error, grpc.aio.AbortError):
            number = context.code()
            self._write(BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN).name, "")  # type: ignore[call-overload]
            raise error
        if not isinstance(error, Exception):  # cancelled by the caller, the transport or the server
            has_passed = (
                hasattr(self.arrival.call, "deadline") and self.arrival.call.deadline.has_passed
            )
            ended = grpc.StatusCode.DEADLINE_EXCEEDED if has_passed else grpc.StatusCode.CANCELLED
            self._write(ended.name, "")
            raise error
        LOG.error("call_failed", method=self.arrival.call.method, exc_info=error)
        self._write(grpc.StatusCode.INTERNAL.name, INTERNAL_REASON)
        return internal_status(self._runs.domain)

    async def abort(self, context: Context, status: status_pb2.Status) -> NoReturn:
        """Send the status.

        Called outside of any `except`, so that no span records the error behind it; and not as
        `abort_with_status`, which the telemetry package does not see.
        """
        rich = rpc_status.to_status(status)
        await context.abort(rich.code, rich.details, (*rich.trailing_metadata, *self._trailing()))

    def end(self) -> None:
        """Give the place back."""
        if self._begun:
            self._runs.under_way -= 1
            self._begun = False

    def _trailing(self) -> tuple[tuple[str, str], ...]:
        call = self.arrival.call
        return ((TRACE_ID, call.trace_id), *call.trailing)

    def _write(self, code: str, reason: str) -> None:
        duration_s = time.perf_counter() - self._started_at
        self._runs.call_log.ended(
            self.arrival.call, code=code, reason=reason, duration_s=duration_s
        )
