"""What every outgoing call carries: a deadline, the trace, and a key where one is required."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias

import grpc
from google.protobuf import descriptor_pool

from cashier.common.v1 import options_pb2
from cashier_common.rpc.deadlines import STREAM_DEFAULT_S, UNARY_DEFAULT_S, outgoing_s
from cashier_common.rpc.idempotency import IDEMPOTENCY_KEY, check_key
from cashier_common.telemetry import TRACEPARENT, current_trace

Pairs: TypeAlias = tuple[tuple[str, str | bytes], ...]

KEY: ContextVar[str | None] = ContextVar("cashier_outgoing_key", default=None)


@contextmanager
def idempotency_key(key: str) -> Iterator[None]:
    """Let the calls inside carry this key; IdempotencyKeyMissing when no server would take it."""
    check_key(key, "an outgoing call")
    token = KEY.set(key)
    try:
        yield
    finally:
        KEY.reset(token)


def needs_key(path: str) -> bool:
    """Whether the contract of `/package.Service/Method` requires an idempotency key."""
    try:
        method = descriptor_pool.Default().FindMethodByName(path[1:].replace("/", "."))
    except KeyError:  # a method of somebody else's: health, reflection
        return False
    return bool(method.GetOptions().Extensions[options_pb2.idempotency_key_required])


def pairs_of(metadata: Iterable[Any] | None, *, needs_key: bool, with_trace: bool) -> Pairs:
    """The metadata to send: the caller's own, then the key, then the trace."""
    pairs: Pairs = tuple((str(key), value) for key, value in metadata) if metadata else ()
    key = KEY.get()
    if (key is not None or needs_key) and all(name != IDEMPOTENCY_KEY for name, _ in pairs):
        # A fresh key protects the transport's own retries; a caller that may ask again names one.
        pairs = (*pairs, (IDEMPOTENCY_KEY, key or uuid.uuid4().hex))
    if with_trace and (found := current_trace()) is not None:
        # Outside of any trace nothing is sent: whether to record one is the server's to decide.
        pairs = (*pairs, (TRACEPARENT, found.traceparent))
    return pairs


def timeout_s(asked_s: float | None, *, streaming: bool) -> float:
    """The time-out to send: what was asked for, else what the served call leaves."""
    if asked_s is not None:
        return asked_s
    return outgoing_s(STREAM_DEFAULT_S if streaming else UNARY_DEFAULT_S)


class CallDetails(NamedTuple):
    """gRPC's synchronous interceptors take any object with these names."""

    method: str
    timeout: float | None
    metadata: Pairs | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class OutgoingInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Completes the calls of a synchronous channel."""

    def __init__(self, *, with_trace: bool) -> None:
        self._with_trace = with_trace
        self._needs_key: dict[str, bool] = {}

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._completed(details, streaming=False), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._completed(details, streaming=True), request)

    def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(self._completed(details, streaming=True), requests)

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(self._completed(details, streaming=True), requests)

    def _completed(self, details: Any, *, streaming: bool) -> CallDetails:
        path = details.method
        if path not in self._needs_key:
            self._needs_key[path] = needs_key(path)
        return CallDetails(
            path,
            timeout_s(details.timeout, streaming=streaming),
            pairs_of(
                details.metadata, needs_key=self._needs_key[path], with_trace=self._with_trace
            ),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
