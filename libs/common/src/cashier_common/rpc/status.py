"""The only place where a refusal becomes a gRPC status, and a status becomes facts again."""

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cashier_common.errors import Kind, Refusal
from cashier_common.redact import masked

DOMAIN_SUFFIX = ".cashier"
INTERNAL_REASON = "INTERNAL"
INTERNAL_TEXT = "this is a fault of ours: the trace id in the trailing metadata finds it"
# A client takes 8 KB of metadata unless it was told otherwise, and a fact travels twice: in the
# message, where a byte that is not ASCII takes three, and in the details. Two long ones must fit.
FACT_MAX_BYTES = 512

CODES: dict[Kind, grpc.StatusCode] = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.LOST_RACE: grpc.StatusCode.ABORTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.OUT_OF_RANGE: grpc.StatusCode.OUT_OF_RANGE,
    Kind.NOT_SERVED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}
BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def to_status(refusal: Refusal, domain: str) -> status_pb2.Status:
    """A status with exactly one ErrorInfo, and RetryInfo where it says when to come back."""
    facts = {name: _fact(value) for name, value in refusal.facts().items()}
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain=domain, metadata=facts)
    details = [_packed(info)]
    if refusal.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(refusal.retry_after_s * 1_000_000_000))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    message = masked(refusal.text.format_map(facts))
    return status_pb2.Status(code=_number(CODES[refusal.kind]), message=message, details=details)


def internal_status(domain: str) -> status_pb2.Status:
    """What a caller is told of a fault of ours: nothing but where to look."""
    info = error_details_pb2.ErrorInfo(reason=INTERNAL_REASON, domain=domain)
    return status_pb2.Status(
        code=_number(grpc.StatusCode.INTERNAL), message=INTERNAL_TEXT, details=[_packed(info)]
    )


def status_of(error: BaseException) -> status_pb2.Status | None:
    """The rich status that came with an RPC error of either API, or None."""
    if not isinstance(error, grpc.RpcError) or not hasattr(error, "trailing_metadata"):
        return None
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:  # undecodable, or at odds with the code: not ours, so as good as absent
        return None
    return status


def error_info(error: BaseException) -> error_details_pb2.ErrorInfo | None:
    """The ErrorInfo of an RPC error, whoever sent it, or None."""
    status = status_of(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None


def refusal_reason(error: BaseException) -> error_details_pb2.ErrorInfo | None:
    """The ErrorInfo of an RPC error when a service of this mesh sent it, else None."""
    info = error_info(error)
    return info if info is not None and info.domain.endswith(DOMAIN_SUFFIX) else None


def retry_after_s(error: BaseException) -> float | None:
    """When the server asks to come back, in seconds, or None."""
    status = status_of(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.ToNanoseconds() / 1_000_000_000
    return None


def is_nothing_happened(error: BaseException) -> bool:
    """UNAVAILABLE with our own ErrorInfo: the server did nothing. All else is in doubt."""
    code = getattr(error, "code", None)
    return (
        callable(code)
        and code() is grpc.StatusCode.UNAVAILABLE
        and refusal_reason(error) is not None
    )


def _fact(value: str) -> str:
    safe = masked(value)
    raw = safe.encode("utf-8", "replace")
    if len(raw) <= FACT_MAX_BYTES:
        return safe
    return f"{raw[:FACT_MAX_BYTES].decode('utf-8', 'ignore')}…"


def _number(code: grpc.StatusCode) -> int:
    return int(code.value[0])


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail
