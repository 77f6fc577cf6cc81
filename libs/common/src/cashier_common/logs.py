"""Log lines: JSON on standard output, one per call, each with its trace and without secrets."""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
import structlog

from cashier_common.redact import masked, masked_value
from cashier_common.rpc.call import CALL, Call
from cashier_common.settings import ServiceSettings
from cashier_common.telemetry import current_trace

Event = MutableMapping[str, Any]
OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
SECRET_WORDS = ("password", "secret", "private_key", "api_key", "authorization", "cvv", "cvc")
SECRET_MASK = "[secret]"  # noqa: S105 - it stands where a secret stood


class CallLog:
    """The canonical line of each call; no detour over processors, since this is the hot path."""

    def __init__(self, service: str, write: Callable[[bytes], object] | None = None) -> None:
        self._service = service
        self._write = write or _writer()

    def ended(self, call: Call, *, code: str, reason: str, duration_s: float) -> None:
        """Write the line; the merchant may be what a caller invented, so it is masked."""
        self._write(
            orjson.dumps(
                {
                    "time": datetime.now(UTC),
                    "level": "error" if code == "INTERNAL" else "info",
                    "event": "rpc",
                    "service": self._service,
                    "method": call.method,
                    "caller": call.caller,
                    "merchant": masked(call.merchant),
                    "code": code,
                    "reason": reason,
                    "duration_ms": round(duration_s * 1_000, 3),
                    "trace_id": call.trace_id,
                },
                option=OPTIONS,
            )
        )


class SilentCallLog(CallLog):
    """No line per call: for a log level over INFO."""

    def ended(self, call: Call, *, code: str, reason: str, duration_s: float) -> None:
        """Write nothing."""


def call_log(settings: ServiceSettings, service: str) -> CallLog:
    """The call log that the log level asks for."""
    quiet = logging.getLevelNamesMapping()[settings.log_level] > logging.INFO
    return SilentCallLog(service) if quiet else CallLog(service)


def configure_logging(settings: ServiceSettings, service: str) -> None:
    """Set up structlog, and let libraries that use `logging` come out in the same form."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _named(service),
        add_trace,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, redact, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(_stdout()),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                lambda logger, name, event: render(logger, name, event).decode(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))  # what libraries find worth a warning


def add_trace(_logger: object, _name: str, event: Event) -> Event:
    """The trace id of the call or span that the line was written in, recorded or not."""
    call = CALL.get(None)
    if call is not None and call.trace_id:
        event["trace_id"] = call.trace_id
    elif (found := current_trace()) is not None:
        event["trace_id"] = found.trace_id
    return event


def redact(_logger: object, _name: str, event: Event) -> Mapping[str, Any]:
    """Last before rendering: no card number and nothing that is named like a secret gets past."""
    return {key: _safe(key, value) for key, value in event.items()}


def render(_logger: object, _name: str, event: Mapping[str, Any]) -> bytes:
    """One JSON line, without the line break."""
    return orjson.dumps(event, default=str, option=OPTIONS)


def _safe(key: str, value: object) -> object:
    if key in {"time", "level", "trace_id", "service"}:
        return value
    lower = key.lower()
    return SECRET_MASK if any(word in lower for word in SECRET_WORDS) else masked_value(value)


def _named(service: str) -> structlog.typing.Processor:
    def add_service(_logger: object, _name: str, event: Event) -> Event:
        event["service"] = service
        return event

    return add_service


def _stdout() -> BinaryIO:
    return sys.stdout.buffer


def _writer() -> Callable[[bytes], object]:
    return structlog.BytesLogger(_stdout()).msg
