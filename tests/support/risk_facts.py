"""Facts and requests of risk for tests: an ordinary payment, changed where a test says so."""

from dataclasses import replace
from typing import Any

from cashier.common.v1 import instrument_pb2
from cashier.risk.v1 import risk_service_pb2
from cashier_common.ids import payment_name
from cashier_common.money import Money
from cashier_risk.domain.facts import Asked, Direction, Facts

MERCHANT = "acme-games"
ORDINARY = Asked(
    merchant=MERCHANT,
    payment=payment_name(MERCHANT, "ordinary"),
    direction=Direction.PAYMENT,
    amount=Money(19_99, "USD"),
    method="card",
    instrument="fp_ordinary",
    bin="424242",
    brand="visa",
    funding="debit",
    issuer_country="BR",
    chain="",
    wallet="",
    customer="player-1",
    customer_country="BR",
    customer_subdivision="",
    tags=(),
    device="device-1",
    jurisdiction="BR",
    merchant_reference="order-1",
    has_email=True,
    has_ip_address=True,
)


def facts(*, velocity: dict[str, int] | None = None, degraded: bool = False, **said: Any) -> Facts:
    """The ordinary payment with some fields changed."""
    return Facts(replace(ORDINARY, **said), velocity or {}, degraded)


def assess_request(key: str, **fields: Any) -> risk_service_pb2.AssessRequest:
    """A request for the payment of this key; `instrument__fingerprint="x"` sets a nested field."""
    request = risk_service_pb2.AssessRequest(
        merchant=MERCHANT,
        payment=payment_name(MERCHANT, key),
        direction=risk_service_pb2.DIRECTION_PAYMENT,
        jurisdiction="BR",
        merchant_reference=f"order-{key}",
    )
    request.amount.minor, request.amount.asset_code = 19_99, "USD"
    instrument = request.instrument
    instrument.method = instrument_pb2.PAYMENT_METHOD_CARD
    instrument.fingerprint = f"fp_{key}"
    instrument.brand, instrument.bin, instrument.issuer_country = "visa", "424242", "BR"
    instrument.funding = instrument_pb2.CARD_FUNDING_DEBIT
    request.customer.customer_id, request.customer.country = f"player-{key}", "BR"
    request.customer.email = "ana@example.org"
    request.device.fingerprint, request.device.ip_address = f"device-{key}", "203.0.113.7"
    for path, value in fields.items():
        *parents, leaf = path.split("__")
        message: Any = request
        for parent in parents:
            message = getattr(message, parent)
        if isinstance(value, list):
            getattr(message, leaf).extend(value)
        else:
            setattr(message, leaf, value)
    return request
