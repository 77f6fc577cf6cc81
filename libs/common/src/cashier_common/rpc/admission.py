"""What must hold before a method runs: identity → deadline → validation → idempotency."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import grpc.aio
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from cashier.common.v1 import options_pb2
from cashier_common.errors import CardNumberRefused, DeadlineExceeded, RequestUndecodable
from cashier_common.redact import holds_card_number
from cashier_common.rpc.call import CALL, Call
from cashier_common.rpc.deadlines import DEADLINE, Deadline, granted_s
from cashier_common.rpc.idempotency import IDEMPOTENCY_KEY, check_key
from cashier_common.rpc.identity import AccessPolicy, Grant, caller_of
from cashier_common.rpc.validation import Plans, refuse_card_numbers
from cashier_common.telemetry import TRACEPARENT, Trace, parse_traceparent

USER_AGENT = "user-agent"
KNOWN_AGENTS_MAX = 64  # the same few programs call all day: their names are searched once

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Gate:
    """What admission needs of the server; `development_caller` is set under PLAINTEXT alone."""

    policy: AccessPolicy
    plans: Plans
    development_caller: str | None


@dataclass(slots=True)
class Arrival:
    """A call as its metadata tells it, before anything is refused."""

    call: Call
    trace: Trace | None = None
    card_in: str = ""  # the metadata key whose value reads as a card number
    timer_s: float | None = None  # how long it may run where the transport would not end it


class Admission:
    """One method's way in, looked up by reflection when the server is built."""

    def __init__(self, gate: Gate, path: str, *, streaming: bool) -> None:
        method = descriptor_pool.Default().FindMethodByName(path[1:].replace("/", "."))
        self.path = path
        self._gate = gate
        self._streaming = streaming
        self._request_type = message_factory.GetMessageClass(method.input_type)
        self._request_name = method.input_type.full_name
        self._known_agents: set[str | bytes] = set()
        self._plan = gate.plans.plan(method.input_type)
        self._needs_key = bool(method.GetOptions().Extensions[options_pb2.idempotency_key_required])

    def arrive(self, context: Context) -> Arrival:
        """Make the call current and read its metadata, once."""
        call = Call(self.path)
        CALL.set(call)
        arrival = Arrival(call)
        for key, value in context.invocation_metadata() or ():
            if key == TRACEPARENT and isinstance(value, str):
                # A well-formed one is hex; its span id may be digits alone, so it is not searched.
                arrival.trace = parse_traceparent(value)
                if arrival.trace is not None:
                    continue
            elif key == IDEMPOTENCY_KEY and isinstance(value, str):
                # Said twice is said unclearly: an empty key is malformed.
                call.idempotency_key = value if call.idempotency_key is None else ""
            elif key == USER_AGENT and value in self._known_agents:
                continue
            if holds_card_number(value if isinstance(value, str) else value.decode("latin-1")):
                arrival.card_in = key
            elif key == USER_AGENT and len(self._known_agents) < KNOWN_AGENTS_MAX:
                self._known_agents.add(value)
        return arrival

    def admit(self, raw: bytes, context: Context, arrival: Arrival) -> Message:
        """The request of a call that may run; else the refusal to send."""
        grant = self._identify(context, arrival.call)
        request = self._decode(raw)
        self._check_merchant(request, grant, arrival.call)
        self._set_deadline(context, arrival)
        self._validate(request, raw, arrival)
        self._check_key(arrival.call)
        return request

    def admit_stream(
        self, raw: AsyncIterator[bytes], context: Context, arrival: Arrival
    ) -> AsyncIterator[Message]:
        """The same for a method that takes many messages: each is refused where it is read."""
        grant = self._identify(context, arrival.call)
        self._set_deadline(context, arrival)
        self._check_key(arrival.call)
        return self._admitted(raw, grant, arrival)

    async def _admitted(
        self, raw: AsyncIterator[bytes], grant: Grant, arrival: Arrival
    ) -> AsyncIterator[Message]:
        async for part in raw:
            message = self._decode(part)
            # Later parts may leave the merchant out; none may name one that is not allowed.
            if not arrival.call.merchant or getattr(message, "merchant", False):
                self._check_merchant(message, grant, arrival.call)
            self._validate(message, part, arrival)
            yield message

    def _identify(self, context: Context, call: Call) -> Grant:
        call.caller = self._gate.development_caller or caller_of(context)
        return self._gate.policy.grant(call.caller, self.path)

    def _decode(self, raw: bytes) -> Message:
        try:
            return self._request_type.FromString(raw)
        except DecodeError:
            raise RequestUndecodable(self._request_name) from None

    def _check_merchant(self, request: Message, grant: Grant, call: Call) -> None:
        if not self._plan.has_merchant:
            return
        call.merchant = request.merchant  # type: ignore[attr-defined]
        # An empty one that the contract requires is refused as FIELD_REQUIRED a moment later.
        if call.merchant or not self._plan.needs_merchant:
            grant.check_merchant(call.merchant)

    def _set_deadline(self, context: Context, arrival: Arrival) -> None:
        asked_s = cast("float | None", context.time_remaining())
        granted = granted_s(asked_s, streaming=self._streaming)
        deadline = arrival.call.deadline = Deadline(time.monotonic() + granted)
        DEADLINE.set(deadline)
        if granted <= 0:
            raise DeadlineExceeded(self.path)
        if asked_s is None or asked_s > granted:
            arrival.timer_s = granted

    def _validate(self, request: Message, raw: bytes, arrival: Arrival) -> None:
        if arrival.card_in:
            raise CardNumberRefused(f"metadata {arrival.card_in}")
        refuse_card_numbers(request, raw)
        self._plan.check(request)

    def _check_key(self, call: Call) -> None:
        if self._needs_key or call.idempotency_key is not None:
            check_key(call.idempotency_key, self.path)
