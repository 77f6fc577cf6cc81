"""`cashier.gateway.v1.GatewayService` of this rail: decode, call the flow, encode."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cashier.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc, outcome_pb2
from cashier_common.clock import Clock
from cashier_common.db.failures import CommitUnknown
from cashier_common.db.follow import Record
from cashier_common.errors import FieldInvalid, NotServed
from cashier_common.health.monitor import Monitor
from cashier_common.rpc.call import Call, current_call
from cashier_common.rpc.record import require_place
from cashier_gateway.domain.call import Command
from cashier_gateway.flows.look_up import LookUp
from cashier_gateway.flows.ports import Origin, Terminal
from cashier_gateway.flows.stream_outcomes import stream_outcomes
from cashier_gateway.flows.submit import Submit
from cashier_gateway.rpc import codec, command_codec
from cashier_gateway.rpc.health_codec import health_to_proto

# What is kept of the caller's deadline for the answer to travel (money-safety.md §1.4).
ANSWER_RESERVE_S: Final = 0.25
WAIT_MIN_S: Final = 0.01
# A watcher of health hears something this often, also where nothing changed.
HEARTBEAT_S: Final = 5.0


@dataclass(frozen=True)
class GatewayServicer(gateway_service_pb2_grpc.GatewayServiceServicer):
    """The rail `gateway`. Methods that later issues bring answer NOT_SERVED."""

    submit: Submit
    run_look_up: LookUp
    terminals: Mapping[str, Terminal]
    record: Record
    monitor: Monitor
    clock: Clock

    async def Authorize(
        self, request: gateway_service_pb2.AuthorizeRequest, context: Any
    ) -> outcome_pb2.Outcome:
        return await self._submit(command_codec.authorize_command(request))

    async def Capture(
        self, request: gateway_service_pb2.CaptureRequest, context: Any
    ) -> outcome_pb2.Outcome:
        return await self._submit(command_codec.capture_command(request))

    async def Void(
        self, request: gateway_service_pb2.VoidRequest, context: Any
    ) -> outcome_pb2.Outcome:
        return await self._submit(command_codec.void_command(request))

    async def Refund(
        self, request: gateway_service_pb2.RefundRequest, context: Any
    ) -> outcome_pb2.Outcome:
        return await self._submit(command_codec.refund_command(request))

    async def Payout(
        self, request: gateway_service_pb2.PayoutRequest, context: Any
    ) -> outcome_pb2.Outcome:
        return await self._submit(command_codec.payout_command(request))

    async def LookUp(
        self, request: gateway_service_pb2.LookUpRequest, context: Any
    ) -> outcome_pb2.Outcome:
        question = command_codec.question(request)
        found = await self.run_look_up(question, _origin(current_call()))
        if found is None:
            return codec.in_doubt(
                question.operation, question.account, at=self.clock.now(),
                detail="this rail has not seen the operation and it may still come: close its door",
            )  # fmt: skip
        return codec.call_to_proto(found)

    async def ListCapabilities(
        self, request: gateway_service_pb2.ListCapabilitiesRequest, context: Any
    ) -> gateway_service_pb2.ListCapabilitiesResponse:
        accounts = [codec.account_to_proto(at.account) for at in self.terminals.values()]
        return gateway_service_pb2.ListCapabilitiesResponse(rail=codec.RAIL, accounts=accounts)

    async def StreamOutcomes(
        self, request: gateway_service_pb2.StreamOutcomesRequest, context: Any
    ) -> AsyncIterator[gateway_service_pb2.OutcomeEvent]:
        require_place(request)
        late = stream_outcomes(self.record, shard=request.shard, after=request.after_position)
        async for outcome in late:
            yield codec.late_to_proto(outcome)

    async def ContinueAuthentication(self, request: object, context: object) -> NoReturn:
        raise NotServed("ContinueAuthentication")

    async def GetHealth(
        self, request: gateway_service_pb2.GetHealthRequest, context: Any
    ) -> gateway_service_pb2.GetHealthResponse:
        return health_to_proto(self.monitor.details(), self.clock.now())

    async def WatchHealth(
        self, request: gateway_service_pb2.WatchHealthRequest, context: Any
    ) -> AsyncIterator[gateway_service_pb2.GetHealthResponse]:
        while True:
            yield health_to_proto(self.monitor.details(), self.clock.now())
            await self.monitor.wait_changed(HEARTBEAT_S)

    async def _submit(self, command: Command) -> outcome_pb2.Outcome:
        """What every moving method does with the command that it parsed."""
        call = current_call()
        if call.idempotency_key != command.operation:
            raise FieldInvalid(
                "idempotency-key", "another text than the operation", "the operation's name"
            )
        wait_s = max(call.deadline.remaining_s() - ANSWER_RESERVE_S, WAIT_MIN_S)
        try:
            found, was_known = await self.submit(command, _origin(call), wait_s=wait_s)
        except CommitUnknown:  # the row may be there: its lease ends, and the resume worker sends
            found, was_known = None, False
        if was_known:
            call.mark_replayed()
        if found is None:
            return codec.in_doubt(
                command.operation, command.account, at=self.clock.now(),
                detail="the operation is under way and has no answer yet",
            )  # fmt: skip
        return codec.call_to_proto(found)


def _origin(call: Call) -> Origin:
    return Origin(actor=call.caller, traceparent=call.traceparent)
