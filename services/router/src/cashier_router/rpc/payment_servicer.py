"""PaymentService: requests in, payments out; everything between is a flow."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import grpc

from cashier.payments.v1 import (
    dispute_pb2,
    payment_pb2,
    payment_service_pb2,
    payment_service_pb2_grpc,
)
from cashier_common.errors import FieldInvalid, ResourceNotFound
from cashier_common.rpc.call import current_call
from cashier_common.rpc.paging import Pager
from cashier_common.tasks import TaskGroup
from cashier_router.domain.commands import CreatePayment as Creation
from cashier_router.domain.commands import FollowUp
from cashier_router.domain.dispute import due_key
from cashier_router.domain.payment import Payment
from cashier_router.flows.confirm_payment import confirm_payment
from cashier_router.flows.create_payment import create_payment
from cashier_router.flows.follow_up import follow_up
from cashier_router.flows.ports import World
from cashier_router.rpc.command_codec import to_command, to_payout
from cashier_router.rpc.dispute_codec import dispute_of, payment_of, to_filter, with_news
from cashier_router.rpc.payment_codec import PAYMENT_STATES, to_proto
from cashier_router.rpc.run_wish import run_wish
from cashier_router.rpc.times import from_time
from cashier_router.rpc.wish_codec import to_cancel, to_capture, to_confirm, to_refund

# How often a watcher looks at its payment.
WATCH_PERIOD_S = 0.2
_STATES = {int(number): state for state, number in PAYMENT_STATES.items()}

Context = grpc.aio.ServicerContext[object, object]


class PaymentServicer(payment_service_pb2_grpc.PaymentServiceServicer):
    """Serves the applications."""

    def __init__(self, world: World, pager: Pager, tasks: TaskGroup) -> None:
        self._world = world
        self._pager = pager
        self._tasks = tasks

    async def CreatePayment(
        self, request: payment_service_pb2.CreatePaymentRequest, context: Context
    ) -> payment_pb2.Payment:
        """Screens, routes and executes a payment exactly once."""
        command = to_command(request, current_call().idempotency_key or "")
        return await self._created(command, request)

    async def CreatePayout(
        self, request: payment_service_pb2.CreatePayoutRequest, context: Context
    ) -> payment_pb2.Payment:
        """Pays money out to a customer exactly once."""
        command = to_payout(request, current_call().idempotency_key or "")
        return await self._created(command, request)

    async def CapturePayment(
        self, request: payment_service_pb2.CapturePaymentRequest, context: Context
    ) -> payment_pb2.Payment:
        """Takes all or a part of what is authorized."""
        return await self._followed(to_capture(request, current_call().idempotency_key or ""))

    async def CancelPayment(
        self, request: payment_service_pb2.CancelPaymentRequest, context: Context
    ) -> payment_pb2.Payment:
        """Releases what is authorized and not captured."""
        return await self._followed(to_cancel(request, current_call().idempotency_key or ""))

    async def RefundPayment(
        self, request: payment_service_pb2.RefundPaymentRequest, context: Context
    ) -> payment_pb2.Payment:
        """Gives back all or a part of what was captured."""
        return await self._followed(to_refund(request, current_call().idempotency_key or ""))

    async def ConfirmPayment(
        self, request: payment_service_pb2.ConfirmPaymentRequest, context: Context
    ) -> payment_pb2.Payment:
        """Goes on with a payment after the customer acted."""
        command = to_confirm(request, current_call().idempotency_key or "")
        payment = await run_wish(
            lambda actor, ends_s: confirm_payment(
                command, actor, self._world, caller_ends_s=ends_s
            ),
            command, self._world, self._tasks,
        )  # fmt: skip
        return to_proto(payment)

    async def GetPayment(
        self, request: payment_service_pb2.GetPaymentRequest, context: Context
    ) -> payment_pb2.Payment:
        """One payment as it stands."""
        return to_proto(await self._payment(request.merchant, request.name))

    async def ListPayments(
        self, request: payment_service_pb2.ListPaymentsRequest, context: Context
    ) -> payment_service_pb2.ListPaymentsResponse:
        """A merchant's payments, newest first."""
        states = sorted({_state(number) for number in request.states})
        first = from_time(request, "min_create_time")
        last = from_time(request, "max_create_time")
        bound: list[str | int] = [
            "ListPayments", request.merchant, *states, request.merchant_reference,
            str(first), str(last),
        ]  # fmt: skip
        page = self._pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound
        )
        before = None
        if page.after is not None:
            before = (datetime.fromisoformat(str(page.after[0])), str(page.after[1]))
        found = await self._world.store.listed(
            request.merchant, states=states or None,
            merchant_reference=request.merchant_reference or None,
            min_time=first, max_time=last, before=before, count=page.size + 1,
        )  # fmt: skip
        shown = found[: page.size]
        token = ""
        if len(found) > page.size:
            after = (shown[-1].create_time.isoformat(), shown[-1].name)
            token = self._pager.token(after, bound_to=bound)
        return payment_service_pb2.ListPaymentsResponse(
            payments=[to_proto(payment) for payment in shown], next_page_token=token
        )

    async def WatchPayment(
        self, request: payment_service_pb2.WatchPaymentRequest, context: Context
    ) -> AsyncIterator[payment_pb2.Payment]:
        """The payment as it stands, and again at each change, until it rests."""
        call = current_call()
        version = 0
        while True:
            payment = await self._payment(request.merchant, request.name)
            if payment.version != version:
                version = payment.version
                yield to_proto(payment)
            if payment.is_final or call.deadline.remaining_s() < WATCH_PERIOD_S:
                return
            await asyncio.sleep(WATCH_PERIOD_S)

    async def GetDispute(
        self, request: payment_service_pb2.GetDisputeRequest, context: Context
    ) -> dispute_pb2.Dispute:
        """One dispute with everything that the processor told about it."""
        payment = await self._payment(request.merchant, payment_of(request.name))
        for dispute in payment.disputes:
            if payment.dispute_name(dispute) == request.name:
                now = self._world.clock.now()
                return with_news(dispute_of(payment, dispute, now), dispute)
        raise ResourceNotFound(name=request.name)

    async def ListDisputes(
        self, request: payment_service_pb2.ListDisputesRequest, context: Context
    ) -> payment_service_pb2.ListDisputesResponse:
        """Disputes, those whose evidence is due first at the front."""
        wanted = to_filter(request)
        bound: list[str | int] = [
            "ListDisputes", request.merchant, "states", *wanted.states, "stages", *wanted.stages,
            wanted.account, str(wanted.due_before),
        ]  # fmt: skip
        page = self._pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound
        )
        after = None
        if page.after is not None:
            due, merchant, name = (str(part) for part in page.after)
            after = (datetime.fromisoformat(due), merchant, name)
        found = await self._world.store.disputes(wanted, after=after, count=page.size + 1)
        shown, token = found[: page.size], ""
        if len(found) > page.size:
            payment, dispute = shown[-1]
            key = (
                due_key(dispute).isoformat(), payment.merchant, payment.dispute_name(dispute),
            )  # fmt: skip
            token = self._pager.token(key, bound_to=bound)
        now = self._world.clock.now()
        return payment_service_pb2.ListDisputesResponse(
            disputes=[dispute_of(payment, dispute, now) for payment, dispute in shown],
            next_page_token=token,
        )

    async def _created(self, command: Creation, request: object) -> payment_pb2.Payment:
        payment = await run_wish(
            lambda actor, ends_s: create_payment(
                command, request, actor, self._world, caller_ends_s=ends_s
            ),
            command, self._world, self._tasks,
        )  # fmt: skip
        return to_proto(payment)

    async def _followed(self, command: FollowUp) -> payment_pb2.Payment:
        payment = await run_wish(
            lambda actor, ends_s: follow_up(command, actor, self._world, caller_ends_s=ends_s),
            command, self._world, self._tasks,
        )  # fmt: skip
        return to_proto(payment)

    async def _payment(self, merchant: str, name: str) -> Payment:
        payment = await self._world.store.payment(merchant, name)
        if payment is None:
            raise ResourceNotFound(name=name)
        return payment


def _state(number: int) -> str:
    if number not in _STATES:
        raise FieldInvalid(field="states", value=str(number), expected="states of a payment")
    return str(_STATES[number])
