"""Calls of every kind into the running mesh, as the callers that tests play make them."""

import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import grpc
from google.protobuf.message import Message

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.gateway.v1 import gateway_service_pb2_grpc
from cashier.payments.v1 import payment_pb2, payment_service_pb2, payment_service_pb2_grpc
from cashier_common.rpc.client import connect_sync
from cashier_common.settings import Tls
from cashier_mesh.certificates import Credentials
from cashier_mesh.health import channel_to
from cashier_mesh.supervisor import Mesh

MERCHANT = "acme-games"
GOOD_TOKEN = "tok_ok"
CALL_S = 20.0
READY_WITHIN_S = 30.0
_numbers = itertools.count(1)


class WholeMesh:
    """A running mesh and the callers that tests play."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._channels: dict[tuple[str, str], grpc.Channel] = {}

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services that run, `router` among them."""
        return tuple(self.mesh.targets)

    @property
    def targets(self) -> dict[str, str]:
        """One server of each service: the first, whose log has the service's plain name."""
        return {name: hosts.split(",")[0] for name, hosts in self.mesh.targets.items()}

    def channel(self, service: str = "router", caller: str = "checkout") -> grpc.Channel:
        """The channel of one caller to one service; it lives as long as the mesh."""
        key = service, caller
        if key not in self._channels:
            tls = tls_of(self.mesh.credentials(caller))
            self._channels[key] = connect_sync(self.targets[service], tls)
        return self._channels[key]

    def payments(self, caller: str = "checkout") -> Any:
        """A stub of PaymentService."""
        return payment_service_pb2_grpc.PaymentServiceStub(self.channel("router", caller))

    @cached_property
    def rail(self) -> Any:
        """The gateway as an operator calls it."""
        return gateway_service_pb2_grpc.GatewayServiceStub(self.channel("gateway", "operator"))

    def pay(self, **changes: Any) -> tuple[payment_pb2.Payment, Mapping[str, str | bytes]]:
        """One card payment and the trailing metadata of its answer."""
        return self.send(a_payment(**changes))

    def send(
        self, request: payment_service_pb2.CreatePaymentRequest, *metadata: tuple[str, str | bytes]
    ) -> tuple[payment_pb2.Payment, Mapping[str, str | bytes]]:
        """Create a payment under a key of its own unless the metadata brings one."""
        pairs = metadata
        if all(name != "idempotency-key" for name, _ in pairs):
            pairs = (*pairs, ("idempotency-key", a_key()))
        answer, call = self.payments().CreatePayment.with_call(
            request, timeout=CALL_S, metadata=pairs
        )
        return answer, dict(call.trailing_metadata())

    def bare(self, service: str, caller: str) -> grpc.Channel:
        """A channel that adds nothing to a call: neither key nor trace nor deadline."""
        key = service, f"{caller}, bare"
        if key not in self._channels:
            target, credentials = self.targets[service], self.mesh.credentials(caller)
            self._channels[key] = channel_to(target, credentials)
        return self._channels[key]

    def raw(
        self, path: str, body: bytes, *metadata: tuple[str, str | bytes], service: str = "router",
        caller: str = "checkout",
    ) -> bytes:  # fmt: skip
        """Call a method with bytes that no stub would send; bytes come back."""
        method: Any = self.bare(service, caller).unary_unary(path)
        answer: bytes = method(body, timeout=CALL_S, metadata=metadata)
        return answer

    def close(self) -> None:
        """Close every channel."""
        for channel in self._channels.values():
            channel.close()


def a_payment(**changes: Any) -> payment_service_pb2.CreatePaymentRequest:
    """A card payment of 10.00 USD that the sandbox takes; `changes` replaces fields."""
    number = uuid.uuid4().hex
    request = payment_service_pb2.CreatePaymentRequest(
        merchant=MERCHANT,
        merchant_reference=f"order-{next(_numbers)}-{number}",
        amount=money_pb2.Money(minor=1_000, asset_code="USD"),
        instrument=a_card(fingerprint=number),
        metadata={"basket": "two tickets"},
    )
    request.customer.country = "US"
    request.customer.customer_id = f"player-{number}"
    request.device.fingerprint = f"device-{number}"
    changed = payment_service_pb2.CreatePaymentRequest(**changes)
    for name in changes:
        request.ClearField(name)
    request.MergeFrom(changed)
    return request


def a_card(*, fingerprint: str = "", token: str = GOOD_TOKEN) -> instrument_pb2.Instrument:
    """A card with a token of the sandbox's account for the USA."""
    return instrument_pb2.Instrument(
        method=instrument_pb2.PAYMENT_METHOD_CARD, fingerprint=fingerprint or uuid.uuid4().hex,
        brand="visa", issuer_country="US",
        tokens=[
            instrument_pb2.InstrumentToken(
                scope=instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT,
                processor_account="sandbox-us", token=token,
            )
        ],
    )  # fmt: skip


def a_key() -> str:
    """An idempotency key that nobody used."""
    return f"e2e-{uuid.uuid4().hex}"


def tls_of(credentials: Credentials) -> Tls:
    """The same three files, as the common library names them."""
    return Tls(credentials.certificate, credentials.private_key, credentials.authority)


def with_unknown_field(message: Message, number: int, text: str) -> bytes:
    """The message's bytes with a text in a field that no contract has."""
    value = text.encode()
    tag = (number << 3) | 2
    return message.SerializeToString() + _varint(tag) + _varint(len(value)) + value


def eventually(condition: Callable[[], Any], within_s: float = READY_WITHIN_S) -> Any:
    """What the condition answers once it is true; the last failure when it never was."""
    ends, failure = time.monotonic() + within_s, None
    while time.monotonic() < ends:
        try:
            if found := condition():
                return found
        except (grpc.RpcError, AssertionError, OSError) as error:
            failure = error
        time.sleep(0.1)
    raise AssertionError(f"not true within {within_s:g} s") from failure


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
