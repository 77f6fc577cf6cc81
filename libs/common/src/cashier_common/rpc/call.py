"""What a flow may know of the call that it runs in: who, which key, how long, which trace."""

from contextvars import ContextVar

from opentelemetry import trace

from cashier_common.rpc.deadlines import Deadline

REPLAYED = ("idempotent-replayed", "true")


class Call:
    """One call as the pipeline understood it; made once per call, so it is kept small."""

    __slots__ = (
        "_trailing",
        "caller",
        "deadline",
        "idempotency_key",
        "merchant",
        "method",
        "span_id",
        "trace_flags",
        "trace_id",
    )

    caller: str
    deadline: Deadline
    idempotency_key: str | None
    merchant: str
    method: str
    span_id: str
    trace_flags: str
    trace_id: str

    def __init__(self, method: str) -> None:
        self.method = method
        self.caller = ""
        self.merchant = ""
        self.idempotency_key = None
        self.trace_id = self.span_id = ""
        self.trace_flags = "00"
        self._trailing: list[tuple[str, str]] = []

    @property
    def traceparent(self) -> str:
        """W3C traceparent of the innermost span, for rows whose work a worker goes on with."""
        inner = trace.get_current_span().get_span_context()
        if inner.is_valid:
            return f"00-{inner.trace_id:032x}-{inner.span_id:016x}-{inner.trace_flags:02x}"
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags}" if self.trace_id else ""

    @property
    def trailing(self) -> tuple[tuple[str, str], ...]:
        """Metadata that leaves with the answer, beside the trace id."""
        return tuple(self._trailing)

    def mark_replayed(self) -> None:
        """Say in the trailing metadata that an earlier call did the work."""
        if REPLAYED not in self._trailing:
            self._trailing.append(REPLAYED)

    def add_trailing(self, key: str, value: str) -> None:
        """Let a pair of trailing metadata leave with the answer."""
        self._trailing.append((key, value))


CALL: ContextVar[Call] = ContextVar("cashier_call")


def current_call() -> Call:
    """The call being served; LookupError outside of one (a worker has no caller)."""
    try:
        return CALL.get()
    except LookupError:
        raise LookupError(
            "no call is being served here: only code that a servicer awaits may ask for the call"
        ) from None
