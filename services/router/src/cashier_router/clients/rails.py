"""The rails as the flows see them: one table of accounts, and answers that never guess."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

import grpc
import structlog

from cashier.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc, outcome_pb2
from cashier_common.errors import PeerUnavailable
from cashier_common.rpc.client import idempotency_key
from cashier_router.clients.late_codec import late_outcome
from cashier_router.clients.rail_codec import (
    authorize_request,
    capture_request,
    first_outcome,
    method_of,
    money,
    payout_request,
    refund_request,
    to_account,
    to_outcome,
    unanswered,
    void_request,
)
from cashier_router.domain.lifecycle import OperationEvent, OperationKind
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome
from cashier_router.domain.routing import Account
from cashier_router.flows.ports import LateOutcome

# How old the table of accounts may become while a rail does not answer.
REFRESH_S = 5.0
REFRESH_CALL_S = 3.0

log = structlog.get_logger()
_E = OperationEvent
_PULL_ENDS = frozenset({grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


class RailClients:
    """See `flows.ports.Rails`."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._stubs = {
            rail: gateway_service_pb2_grpc.GatewayServiceStub(channel)
            for rail, channel in channels.items()
        }
        self._heard: dict[str, tuple[Account, ...]] = {}
        self._know_payers: dict[str, frozenset[str]] = {}
        self._accounts: tuple[Account, ...] = ()

    @property
    def rails(self) -> Sequence[str]:
        """Names of the rails."""
        return tuple(self._stubs)

    @property
    def heard(self) -> bool:
        """Whether every rail was heard at least once."""
        return len(self._heard) == len(self._stubs)

    def accounts(self) -> Sequence[Account]:
        """The accounts of every rail, as last heard."""
        if not self._accounts:
            raise PeerUnavailable(peer="every rail")
        return self._accounts

    async def refresh(self) -> None:
        """Hear from every rail; one that is silent keeps what it last said."""
        await asyncio.gather(*(self._refresh(rail) for rail in self._stubs))
        self._accounts = tuple(account for accounts in self._heard.values() for account in accounts)

    async def send(
        self, payment: Payment, operation: Operation, *, personal: object, timeout_s: float
    ) -> Outcome:
        """Send one operation; what is not recognised is LOSE_TRACK."""
        if operation.account not in self._know_payers.get(operation.rail, frozenset()):
            personal = None
        name = payment.operation_name(operation.number)
        try:
            stub = self._stubs[operation.rail]
            with idempotency_key(name):
                # A rail that restarts is waited for: refused and reset look alike, so failing at
                # once would put the payment in doubt.
                answer = await _call(stub, payment, operation, personal, timeout_s)
        except KeyError:
            return Outcome(_E.FAIL_UNSENT, detail=f"this router knows no rail {operation.rail}")
        except grpc.aio.AioRpcError as error:
            return unanswered(operation, error)
        return first_outcome(answer, name)

    async def look_up(
        self, payment: Payment, operation: Operation, *, close_door: bool, timeout_s: float
    ) -> Outcome | None:
        """What became of an operation, or None when nobody could say."""
        name = payment.operation_name(operation.number)
        request = gateway_service_pb2.LookUpRequest(
            merchant=payment.merchant, operation=name, processor_account=operation.account,
            amount=money(operation.amount), close_door=close_door,
        )  # fmt: skip
        try:
            with idempotency_key(f"{name}:look-up:{operation.asks}"):
                answer = await self._stubs[operation.rail].LookUp(request, timeout=timeout_s)
        except (grpc.aio.AioRpcError, KeyError) as error:
            log.info("look_up_unanswered", operation=name, why=type(error).__name__)
            return None
        outcome = to_outcome(answer)
        return outcome if answer.operation == name else None

    async def follow(
        self, rail: str, shard: int, after: int, *, timeout_s: float
    ) -> AsyncIterator[LateOutcome]:
        """Late outcomes of a shard behind a position, as they come, until the time is up."""
        request = gateway_service_pb2.StreamOutcomesRequest(shard=shard, after_position=after)
        try:
            async for event in self._stubs[rail].StreamOutcomes(request, timeout=timeout_s):
                yield late_outcome(rail, shard, event)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PULL_ENDS:
                log.warning("outcomes_not_pulled", rail=rail, code=error.code().name)
                raise PeerUnavailable(peer=rail) from None

    async def _refresh(self, rail: str) -> None:
        try:
            answer = await self._stubs[rail].ListCapabilities(
                gateway_service_pb2.ListCapabilitiesRequest(), timeout=REFRESH_CALL_S
            )
        except grpc.aio.AioRpcError as error:
            log.warning("rail_not_heard", rail=rail, code=error.code().name)
            return
        self._know_payers[rail] = frozenset(
            account.account_id for account in answer.accounts if account.payer_required
        )
        self._heard[rail] = tuple(to_account(rail, account) for account in answer.accounts)


def _call(
    stub: "gateway_service_pb2_grpc.GatewayServiceAsyncStub",
    payment: Payment,
    operation: Operation,
    personal: object,
    timeout_s: float,
) -> Awaitable[outcome_pb2.Outcome]:
    """The call that does this operation, under way."""
    match method_of(payment, operation):
        case OperationKind.AUTHORIZE:
            request = authorize_request(payment, operation, personal)
            return stub.Authorize(request, timeout=timeout_s, wait_for_ready=True)
        case OperationKind.CAPTURE:
            asked = capture_request(payment, operation)
            return stub.Capture(asked, timeout=timeout_s, wait_for_ready=True)
        case OperationKind.VOID:
            released = void_request(payment, operation)
            return stub.Void(released, timeout=timeout_s, wait_for_ready=True)
        case OperationKind.REFUND:
            returned = refund_request(payment, operation)
            return stub.Refund(returned, timeout=timeout_s, wait_for_ready=True)
        case OperationKind.PAYOUT:
            paid = payout_request(payment, operation, personal)
            return stub.Payout(paid, timeout=timeout_s, wait_for_ready=True)
    raise TypeError(f"no rail does {operation.kind}")
