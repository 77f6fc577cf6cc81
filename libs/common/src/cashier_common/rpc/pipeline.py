"""What a call crosses before and after a servicer's method, composed once per method.

telemetry → errors → identity → deadline → validation → idempotency → the method
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.rpc import status_pb2
from opentelemetry.instrumentation.grpc import aio_server_interceptor
from opentelemetry.sdk.trace import TracerProvider

from cashier_common.errors import NotServed
from cashier_common.rpc.admission import Admission, Arrival, Context, Gate
from cashier_common.rpc.run import Run, Runs
from cashier_common.telemetry import FollowOrDraw, enter, new_trace

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = Callable[[Any, Any], Any]

ARRIVAL: ContextVar[Arrival] = ContextVar("cashier_arrival")
FACTORIES: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


@dataclass(frozen=True, slots=True)
class Details:
    """What the telemetry interceptor asks about a method."""

    method: str


class CardlessContext:
    """A context whose metadata the telemetry must not see: a card number would end in a span."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class Pipeline:
    """Wraps the methods of one server."""

    def __init__(self, gate: Gate, runs: Runs, tracer_provider: TracerProvider | None) -> None:
        self._gate = gate
        self._runs = runs
        sampler = None if tracer_provider is None else tracer_provider.sampler
        self._draw = sampler.draw if isinstance(sampler, FollowOrDraw) else always
        self._telemetry = (
            aio_server_interceptor(tracer_provider=tracer_provider)  # type: ignore[no-untyped-call]
            if tracer_provider is not None
            else None
        )

    async def wrap(self, path: str, handler: Handler) -> Handler:
        """The handler to register: bytes in, bytes out, the steps of this page's top between."""
        kind = (bool(handler.request_streaming), bool(handler.response_streaming))
        method = Method(self._gate, self._runs, path, handler)
        serve = FACTORIES[kind](method.serve_stream if kind[1] else method.serve_one)
        if self._telemetry is not None:

            async def serving(_: object) -> Handler:
                return serve

            # The interceptor's own entry, crossed once per method instead of once per call.
            traced = await self._telemetry.intercept_service(serving, Details(path))
            method.traced = behavior_of(traced)
            method.draw = self._draw
        return FACTORIES[kind](method.enter_stream if kind[1] else method.enter_one)


class Method:
    """One method's composed pipeline, from the outermost step in."""

    def __init__(self, gate: Gate, runs: Runs, path: str, handler: Handler) -> None:
        streams = bool(handler.request_streaming), bool(handler.response_streaming)
        self._runs = runs
        self._behavior = _written(behavior_of(handler), path, streams_out=streams[1])
        self._serialize: Callable[[Any], bytes] = handler.response_serializer  # type: ignore[assignment]
        self._admission = Admission(gate, path, streaming=any(streams))
        self._admit: Callable[..., Any] = (
            self._admission.admit_stream if streams[0] else self._admission.admit
        )
        self.traced: Behavior | None = None
        self.draw: Callable[[], bool] = always

    async def enter_one(self, request: Any, context: Context) -> bytes:
        """Errors and everything inside them, through telemetry if a span is wanted."""
        arrival = self._admission.arrive(context)
        ARRIVAL.set(arrival)
        if self._wants_span(arrival):
            return await self.traced(request, _shown(context, arrival))  # type: ignore[misc, no-any-return]
        enter(arrival.trace)  # type: ignore[arg-type]
        return await self.serve_one(request, context)

    async def enter_stream(self, request: Any, context: Context) -> AsyncIterator[bytes]:
        """The same for many answers."""
        arrival = self._admission.arrive(context)
        ARRIVAL.set(arrival)
        if self._wants_span(arrival):
            answers = self.traced(request, _shown(context, arrival))  # type: ignore[misc]
        else:
            enter(arrival.trace)  # type: ignore[arg-type]
            answers = self.serve_stream(request, context)
        async for answer in answers:
            yield answer

    async def serve_one(self, raw: Any, context: Context) -> bytes:
        """Errors outermost: whatever is raised inside leaves as one status."""
        run = Run(self._runs, ARRIVAL.get())
        try:
            run.begin()
            request = self._admit(raw, context, run.arrival)
            response = await run.limited(self._behavior(request, context), run.arrival.timer_s)
            answer = self._serialize(response)
        except BaseException as error:  # noqa: BLE001 - `failed` raises what is not ours to answer
            status = run.failed(error, context)
        else:
            run.answered(context)
            return answer
        finally:
            run.end()
        return await run.abort(context, status)

    async def serve_stream(self, raw: Any, context: Context) -> AsyncIterator[bytes]:
        """The same for many answers; the deadline ends the wait for the next one."""
        run = Run(self._runs, ARRIVAL.get())
        status: status_pb2.Status | None = None
        try:
            run.begin()
            request = self._admit(raw, context, run.arrival)
            answers = self._behavior(request, context)
            try:
                while (answer := await self._next(answers, run)) is not None:
                    yield self._serialize(answer)
            finally:
                await answers.aclose()
            run.answered(context)
        except BaseException as error:  # noqa: BLE001 - `failed` raises what is not ours to answer
            status = run.failed(error, context)
        finally:
            run.end()
        if status is not None:
            await run.abort(context, status)

    async def _next(self, answers: Any, run: Run) -> Any:
        seconds = run.arrival.timer_s
        if seconds is not None:
            seconds = run.arrival.call.deadline.remaining_s()
        return await run.limited(anext(answers, None), seconds)

    def _wants_span(self, arrival: Arrival) -> bool:
        """Whether telemetry has something to do.

        A trace that the caller does not record is not recorded here either, and costs nothing but
        its id. Without a caller's decision the sampler draws.
        """
        found = arrival.trace
        if self.traced is not None and (self.draw() if found is None else found.sampled):
            arrival.trace = None  # the span knows better
            return True
        arrival.trace = found or new_trace()
        return False


def behavior_of(handler: Handler) -> Behavior:
    """The callable of a handler, whichever of the four kinds it is."""
    for behavior in (
        handler.unary_unary,
        handler.unary_stream,
        handler.stream_unary,
        handler.stream_stream,
    ):
        if behavior is not None:
            return behavior
    raise TypeError(
        "the handler has no behavior: register servicers with the generated add_ function"
    )


def always() -> bool:
    """The draw of a sampler that has none: the span finds out for itself."""
    return True


def _written(behavior: Behavior, path: str, *, streams_out: bool) -> Behavior:
    """The servicer's method; NotServed in place of one that it leaves to its generated parent."""
    if getattr(behavior, "__module__", "").endswith("_pb2_grpc"):
        return _stream_not_served(path) if streams_out else _one_not_served(path)
    if streams_out and not inspect.isasyncgenfunction(behavior):
        raise TypeError(f"{path} must be an async generator: let it yield its answers")
    if not streams_out and not inspect.iscoroutinefunction(behavior):
        raise TypeError(f"{path} must be a coroutine: declare it with `async def`")
    return behavior


def _one_not_served(path: str) -> Behavior:
    async def refuse(_request: object, _context: object) -> object:
        raise NotServed(path)

    return refuse


def _stream_not_served(path: str) -> Behavior:
    async def refuse(_request: object, _context: object) -> AsyncIterator[object]:
        raise NotServed(path)
        yield  # type: ignore[unreachable]  # makes it a generator

    return refuse


def _shown(context: Context, arrival: Arrival) -> Any:
    return CardlessContext(context) if arrival.card_in else context
