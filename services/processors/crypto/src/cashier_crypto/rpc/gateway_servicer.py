"""`cashier.gateway.v1.GatewayService` of this rail: decode, call the flow, encode."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cashier.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc, outcome_pb2
from cashier_common.clock import Clock
from cashier_common.db.follow import Record
from cashier_common.errors import FieldInvalid, NotServed
from cashier_common.health.monitor import Monitor
from cashier_common.rpc.call import Call, current_call
from cashier_common.rpc.record import require_place
from cashier_crypto.domain.account import ProcessorAccount
from cashier_crypto.domain.outcome import Outcome, Verdict
from cashier_crypto.domain.transfer import outcome_of
from cashier_crypto.flows.authorize import Authorize
from cashier_crypto.flows.look_up import LookUp
from cashier_crypto.flows.ports import Origin
from cashier_crypto.flows.stream_outcomes import stream_outcomes
from cashier_crypto.rpc import codec
from cashier_crypto.rpc.health_codec import health_to_proto

# A watcher of health hears something this often, also where nothing changed.
HEARTBEAT_S: Final = 5.0


@dataclass(frozen=True)
class GatewayServicer(gateway_service_pb2_grpc.GatewayServiceServicer):
    """The rail `crypto`. Methods that later issues bring answer NOT_SERVED."""

    run_authorize: Authorize
    run_look_up: LookUp
    accounts: Mapping[str, ProcessorAccount]
    record: Record
    monitor: Monitor
    clock: Clock

    async def Authorize(
        self, request: gateway_service_pb2.AuthorizeRequest, context: Any
    ) -> outcome_pb2.Outcome:
        call = current_call()
        command = codec.to_command(request)
        if call.idempotency_key != command.operation:
            raise FieldInvalid(
                "idempotency-key", "another text than the operation", "the operation's name"
            )
        transfer, was_known = await self.run_authorize(command, _origin(call))
        if was_known:
            call.mark_replayed()
        now = self.clock.now()
        outcome = Outcome(Verdict.NOT_SENT, "its time was over when it came", now)
        if transfer is not None:
            outcome = outcome_of(transfer, now)
        return codec.outcome_to_proto(
            command.operation, command.account, outcome, transfer=transfer,
            reference=transfer.reference if transfer else "",
        )  # fmt: skip

    async def LookUp(
        self, request: gateway_service_pb2.LookUpRequest, context: Any
    ) -> outcome_pb2.Outcome:
        question = codec.to_question(request)
        transfer, outcome = await self.run_look_up(question, _origin(current_call()))
        return codec.outcome_to_proto(
            question.operation, question.account, outcome, transfer=transfer,
            reference=transfer.reference if transfer else "",
        )  # fmt: skip

    async def ListCapabilities(
        self, request: gateway_service_pb2.ListCapabilitiesRequest, context: Any
    ) -> gateway_service_pb2.ListCapabilitiesResponse:
        accounts = [codec.account_to_proto(account) for account in self.accounts.values()]
        return gateway_service_pb2.ListCapabilitiesResponse(rail=codec.RAIL, accounts=accounts)

    async def StreamOutcomes(
        self, request: gateway_service_pb2.StreamOutcomesRequest, context: Any
    ) -> AsyncIterator[gateway_service_pb2.OutcomeEvent]:
        require_place(request)
        late = stream_outcomes(self.record, shard=request.shard, after=request.after_position)
        async for outcome in late:
            yield codec.late_to_proto(outcome)

    async def Capture(self, request: object, context: object) -> NoReturn:
        raise NotServed("Capture on the crypto rail")

    async def Void(self, request: object, context: object) -> NoReturn:
        raise NotServed("Void on the crypto rail")

    async def Refund(self, request: object, context: object) -> NoReturn:
        raise NotServed("Refund on the crypto rail")

    async def Payout(self, request: object, context: object) -> NoReturn:
        raise NotServed("Payout on the crypto rail")

    async def ContinueAuthentication(self, request: object, context: object) -> NoReturn:
        raise NotServed("ContinueAuthentication on the crypto rail")

    async def GetHealth(
        self, request: gateway_service_pb2.GetHealthRequest, context: Any
    ) -> gateway_service_pb2.GetHealthResponse:
        return self._health()

    async def WatchHealth(
        self, request: gateway_service_pb2.WatchHealthRequest, context: Any
    ) -> AsyncIterator[gateway_service_pb2.GetHealthResponse]:
        while True:
            yield self._health()
            await self.monitor.wait_changed(HEARTBEAT_S)

    def _health(self) -> gateway_service_pb2.GetHealthResponse:
        return health_to_proto(self.accounts, self.monitor.details(), self.clock.now())


def _origin(call: Call) -> Origin:
    return Origin(actor=call.caller, traceparent=call.traceparent)
