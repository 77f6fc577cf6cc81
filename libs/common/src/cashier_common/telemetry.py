"""Traces: who records spans, where they go, and what a traceparent says when nobody records."""

import os
import re
from contextvars import ContextVar
from random import SystemRandom
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import context, trace
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from cashier_common.settings import Environment, ServiceSettings, SettingsRefused

if TYPE_CHECKING:
    from contextvars import Token

TRACEPARENT = "traceparent"
EXPORT_PERIOD_MS = 1_000
EXPORT_TIMEOUT_MS = 5_000
EXPORT_QUEUE_MAX_SPANS = 8_192
SERVICE_NAMESPACE = "cashier"
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN, _NO_VERSION = "0" * 32, "0" * 16, "ff"
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
_ODD = frozenset("13579bdf")
_random = SystemRandom()

HAS_WON: ContextVar[bool] = ContextVar("cashier_trace_won", default=False)


class Trace(NamedTuple):
    """A parsed traceparent: lower-case hex as on the wire."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


class Drawn(Sampler):
    """Samples the new traces that a server's draw has chosen, and others by ratio."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._by_trace_id = TraceIdRatioBased(ratio)

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:  # noqa: ANN401
        if HAS_WON.get():
            HAS_WON.set(False)  # for this one trace
            return ALWAYS_ON.should_sample(*args, **kwargs)
        return self._by_trace_id.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return f"Drawn({self._ratio})"


class FollowOrDraw(ParentBased):
    """Follows the caller's decision; without one a server draws before it asks for a span.

    A span that turns out not to be sampled still costs what its interceptor and attributes cost.
    """

    def __init__(self, ratio: float) -> None:
        super().__init__(Drawn(ratio))
        self._ratio = ratio

    def draw(self) -> bool:
        """Decide whether the trace that begins with this call is recorded."""
        won = _random.random() < self._ratio
        if won:
            HAS_WON.set(True)
        return won


def configure_tracing(settings: ServiceSettings, service: str) -> TracerProvider | None:
    """Start recording when an exporter is configured; None (and no cost) when none is.

    New traces are sampled by TRACE_SAMPLE_RATIO; a trace that a caller began follows the caller.
    """
    set_global_textmap(TraceContextTextMapPropagator())
    if not settings.otlp_endpoint and settings.trace_file is None:
        return None
    host, port = settings.address
    resource = Resource.create(
        {
            "service.name": service,
            "service.namespace": SERVICE_NAMESPACE,
            "service.instance.id": f"{host}:{port}/{os.getpid()}",
            "deployment.environment.name": settings.environment.value,
        }
    )
    sampler = FollowOrDraw(settings.trace_sample_ratio)
    provider = TracerProvider(sampler=sampler, resource=resource)
    if settings.otlp_endpoint:
        # It takes a quarter of a second to import: only who exports pays for it.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        exporter = OTLPSpanExporter(
            endpoint=settings.otlp_endpoint,
            insecure=settings.otlp_endpoint.startswith("http://"),
            timeout=EXPORT_TIMEOUT_MS // 1_000,
        )
        provider.add_span_processor(_batches(exporter))
    if settings.trace_file is not None:
        provider.add_span_processor(_batches(_file_exporter(settings)))
    trace.set_tracer_provider(provider)
    return provider


def recording_provider() -> TracerProvider | None:
    """The provider that `configure_tracing` set, or None when nothing is recorded."""
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def parse_traceparent(value: str) -> Trace | None:
    """The trace that a caller is in; None when the header is not W3C trace context."""
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    # A later version may add to the end; version 00 may not, and ff is no version.
    if trace_id == _NO_TRACE or span_id == _NO_SPAN or (rest and version == "00"):
        return None
    return None if version == _NO_VERSION else Trace(trace_id, span_id, flags[1] in _ODD)


def new_trace() -> Trace:
    """A trace that nobody records, so that log lines of one request still share an id."""
    trace_id, span_id = _random.getrandbits(128) or 1, _random.getrandbits(64) or 1
    return Trace(f"{trace_id:032x}", f"{span_id:016x}", sampled=False)


def current_trace() -> Trace | None:
    """The trace of the innermost span, recorded or not; None outside any."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return Trace(f"{span.trace_id:032x}", f"{span.span_id:016x}", bool(span.trace_flags & 1))


def enter(found: Trace) -> "Token[context.Context]":
    """Make a trace the current one without recording a span; `leave` undoes it."""
    flags = _SAMPLED if found.sampled else _NOT_SAMPLED
    parent = SpanContext(int(found.trace_id, 16), int(found.span_id, 16), True, flags)  # noqa: FBT003
    return context.attach(trace.set_span_in_context(NonRecordingSpan(parent)))


def leave(token: "Token[context.Context]") -> None:
    """Undo `enter`."""
    context.detach(token)


def _batches(exporter: SpanExporter) -> BatchSpanProcessor:
    return BatchSpanProcessor(
        exporter,
        max_queue_size=EXPORT_QUEUE_MAX_SPANS,
        schedule_delay_millis=EXPORT_PERIOD_MS,
        export_timeout_millis=EXPORT_TIMEOUT_MS,
    )


def _file_exporter(settings: ServiceSettings) -> ConsoleSpanExporter:
    if settings.environment is not Environment.DEVELOPMENT:
        raise SettingsRefused(
            "CASHIER_TRACE_FILE is set outside development: unset it and set CASHIER_OTLP_ENDPOINT"
        )
    path = settings.trace_file
    try:
        file = open(path or "", "a", encoding="utf-8")  # noqa: PTH123, SIM115 - lives as long as the process
    except OSError as error:
        raise SettingsRefused(
            f"CASHIER_TRACE_FILE is {path}, and cannot be written: {error}"
        ) from None
    return ConsoleSpanExporter(out=file, formatter=_line)


def _line(span: ReadableSpan) -> str:
    return f"{span.to_json(indent=None)}\n"
