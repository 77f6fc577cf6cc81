"""A caller of the running mesh, for tests: payments in over mutual TLS, answers as values."""

import json
import uuid
from dataclasses import dataclass
from typing import Any, Self

import grpc
import grpc.aio

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.payments.v1 import (
    payment_admin_service_pb2,
    payment_admin_service_pb2_grpc,
    payment_pb2,
    payment_service_pb2,
    payment_service_pb2_grpc,
)
from cashier_common.db.audit import shard_of
from cashier_common.rpc.client import connect
from cashier_common.rpc.credentials import channel_credentials
from cashier_common.settings import Tls
from cashier_mesh.supervisor import Mesh

MERCHANT = "acme-games"
# A merchant that the operator may use and checkout may not.
FOREIGN_MERCHANT = "beta-games"
MERCHANTS = (MERCHANT, "acme-fintech", FOREIGN_MERCHANT)
CALL_S = 20.0
PAGE_SIZE = 500
Payment = payment_pb2.Payment
Request = payment_service_pb2.CreatePaymentRequest
PayoutRequest = payment_service_pb2.CreatePayoutRequest


@dataclass(frozen=True)
class Answer:
    """What CreatePayment answered."""

    payment: Payment
    replayed: bool


def a_key() -> str:
    """An idempotency key that nobody else uses."""
    return f"test-{uuid.uuid4().hex}"


def a_payment(
    account: str = "sandbox-us",
    token: str = "tok_ok",  # noqa: S107 - the sandbox's word for a card that works
    *,
    minor: int = 1_000,
    asset: str = "USD",
    merchant: str = MERCHANT,
    reference: str = "",
    manual: bool = False,
    **more_tokens: str,
) -> Request:
    """A card payment of a new customer; `more_tokens` are `account=token`, `_` for `-`."""
    number = uuid.uuid4().hex
    tokens = {account: token} | {name.replace("_", "-"): t for name, t in more_tokens.items()}
    request = Request(
        merchant=merchant,
        merchant_reference=reference or f"order-{number}",
        amount=money_pb2.Money(minor=minor, asset_code=asset),
        instrument=instrument_pb2.Instrument(
            method=instrument_pb2.PAYMENT_METHOD_CARD, fingerprint=number, brand="visa",
            issuer_country="US",
            tokens=[
                instrument_pb2.InstrumentToken(
                    scope=instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT,
                    processor_account=name, token=card,
                )
                for name, card in tokens.items()
            ],
        ),
        metadata={"basket": number},
        capture_method=payment_pb2.CAPTURE_METHOD_MANUAL
        if manual
        else payment_pb2.CAPTURE_METHOD_AUTOMATIC,
    )  # fmt: skip
    request.customer.country = "US"
    request.customer.customer_id = number
    request.device.fingerprint = number
    return request


def a_payout(account: str = "sandbox-us", token: str = "tok_ok", **changes) -> PayoutRequest:  # noqa: S107
    """A payout to a card of a new customer."""
    paid = a_payment(account, token, **changes)
    return PayoutRequest(
        merchant=paid.merchant, merchant_reference=paid.merchant_reference, amount=paid.amount,
        instrument=paid.instrument, customer=paid.customer,
    )  # fmt: skip


def _keyed(key: str) -> tuple[tuple[str, str]]:
    return (("idempotency-key", key or a_key()),)


def _part(payment: Payment, minor: int | None) -> money_pb2.Money | None:
    if minor is None:
        return None
    return money_pb2.Money(minor=minor, asset_code=payment.amount.asset_code)


class MeshClient:
    """One caller's channel to the router: all its replicas in turn, or one of them."""

    def __init__(self, mesh: Mesh, caller: str = "checkout", replica: int | None = None) -> None:
        targets = mesh.targets["router"]
        self._target = targets if replica is None else targets.split(",")[replica - 1]
        files = mesh.credentials(caller)
        self._tls = Tls(files.certificate, files.private_key, files.authority)

    async def __aenter__(self) -> Self:
        self._channel = connect(self._target, self._tls)
        self._stub = payment_service_pb2_grpc.PaymentServiceStub(self._channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def call(
        self, request: Request, key: str, timeout_s: float = CALL_S
    ) -> "grpc.aio.UnaryUnaryCall[Request, Payment]":
        """The RPC itself, for a caller that hangs up."""
        return self._stub.CreatePayment(
            request, timeout=timeout_s, metadata=(("idempotency-key", key),)
        )

    async def create(self, request: Request, key: str, timeout_s: float = CALL_S) -> Answer:
        """Pay, and say whether an earlier call had made the payment."""
        call = self.call(request, key, timeout_s)
        payment = await call
        trailing = dict(await call.trailing_metadata())
        return Answer(payment, trailing.get("idempotent-replayed") == "true")

    async def payout(self, request: PayoutRequest, key: str, timeout_s: float = CALL_S) -> Payment:
        """Pay out."""
        return await self._stub.CreatePayout(request, timeout=timeout_s, metadata=_keyed(key))

    async def capture(
        self, payment: Payment, minor: int | None = None, *, final: bool = False, key: str = ""
    ) -> Payment:
        """Take a part, or all that is left."""
        request = payment_service_pb2.CapturePaymentRequest(
            merchant=payment.merchant, name=payment.name, amount=_part(payment, minor), final=final
        )
        return await self._stub.CapturePayment(request, timeout=CALL_S, metadata=_keyed(key))

    async def cancel(self, payment: Payment, key: str = "") -> Payment:
        """Release what is held."""
        request = payment_service_pb2.CancelPaymentRequest(
            merchant=payment.merchant, name=payment.name, reason="the test wants it"
        )
        return await self._stub.CancelPayment(request, timeout=CALL_S, metadata=_keyed(key))

    async def refund(self, payment: Payment, minor: int | None = None, *, key: str = "") -> Payment:
        """Give a part back, or all that is left."""
        request = payment_service_pb2.RefundPaymentRequest(
            merchant=payment.merchant, name=payment.name, amount=_part(payment, minor)
        )
        return await self._stub.RefundPayment(request, timeout=CALL_S, metadata=_keyed(key))

    async def confirm(self, payment: Payment, key: str = "") -> Payment:
        """Go on after the customer acted."""
        request = payment_service_pb2.ConfirmPaymentRequest(
            merchant=payment.merchant, name=payment.name
        )
        return await self._stub.ConfirmPayment(request, timeout=CALL_S, metadata=_keyed(key))

    async def get(self, name: str, merchant: str = MERCHANT) -> Payment:
        request = payment_service_pb2.GetPaymentRequest(merchant=merchant, name=name)
        return await self._stub.GetPayment(request, timeout=CALL_S)

    async def all_of(self, merchant: str) -> list[Payment]:
        """Every payment of a merchant, page by page."""
        found: list[Payment] = []
        token = ""
        while True:
            request = payment_service_pb2.ListPaymentsRequest(
                merchant=merchant, page_size=PAGE_SIZE, page_token=token
            )
            page = await self._stub.ListPayments(request, timeout=CALL_S)
            found += page.payments
            token = page.next_page_token
            if not token:
                return found

    async def create_without_key(self, request: Request) -> Payment:
        """Pay as a client that was not made from our library: it sends no key at all."""
        credentials = channel_credentials(self._tls)
        async with grpc.aio.secure_channel(self._target.split(",")[0], credentials) as channel:
            stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
            return await stub.CreatePayment(request, timeout=CALL_S)


class AdminClient:
    """An operator's channel to the router."""

    def __init__(self, mesh: Mesh, caller: str = "operator") -> None:
        self._target = mesh.targets["router"]
        files = mesh.credentials(caller)
        self._tls = Tls(files.certificate, files.private_key, files.authority)

    async def __aenter__(self) -> Self:
        self._channel = connect(self._target, self._tls)
        self._stub = payment_admin_service_pb2_grpc.PaymentAdminServiceStub(self._channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def replay(
        self, request: payment_admin_service_pb2.ReplayOperationRequest, key: str
    ) -> Payment:
        return await self._stub.ReplayOperation(request, timeout=CALL_S, metadata=_keyed(key))

    async def resolve(
        self, request: payment_admin_service_pb2.ResolveInDoubtRequest, key: str
    ) -> Payment:
        return await self._stub.ResolveInDoubt(request, timeout=CALL_S, metadata=_keyed(key))

    async def in_doubt(self, merchant: str = "") -> list[Payment]:
        """Every payment that needs evidence, page by page."""
        found: list[Payment] = []
        token = ""
        while True:
            request = payment_admin_service_pb2.ListInDoubtRequest(
                merchant=merchant, page_size=2, page_token=token
            )
            page = await self._stub.ListInDoubt(request, timeout=CALL_S)
            found += page.payments
            token = page.next_page_token
            if not token:
                return found

    async def step(self, payment: Payment, action: str) -> dict[str, Any]:
        """What the first sealed step of a payment with this action tells."""
        request = payment_admin_service_pb2.StreamPaymentEventsRequest(
            shard=shard_of(payment.merchant)
        )
        stream = self._stub.StreamPaymentEvents(request, timeout=CALL_S)
        async for event in stream:
            if (event.step.subject, event.step.action) == (payment.name, action):
                stream.cancel()
                facts: dict[str, Any] = json.loads(event.step.payload_json)
                return facts
        raise LookupError(f"{payment.name} has no step {action}")
