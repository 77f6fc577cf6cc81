"""Reads requests: protobuf in any spelling becomes facts in one spelling, or a refusal."""

import re
from collections.abc import Iterable
from typing import Final

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.risk.v1 import risk_service_pb2
from cashier_common.assets import is_known
from cashier_common.errors import AssetUnknown, FieldInvalid
from cashier_common.money import Money
from cashier_risk.domain.facts import Asked, Direction
from cashier_risk.domain.outcome import Outcome, Report
from cashier_risk.domain.places import country, place

PAYMENT: Final = re.compile(r"payments/pay_[a-z2-7]{26}")
IDENTIFIER_MAX_CHARS: Final = 128
"""Fingerprints and customer ids, as their contract says."""
TAGS_MAX: Final = 32
TAG_MAX_CHARS: Final = 64
CODE_MAX_CHARS: Final = 64
"""The longest decline code of a scheme or processor is about half of it."""

_DIRECTIONS: Final = {
    risk_service_pb2.DIRECTION_PAYMENT: Direction.PAYMENT,
    risk_service_pb2.DIRECTION_PAYOUT: Direction.PAYOUT,
}
_METHODS: Final = {
    number: name.removeprefix("PAYMENT_METHOD_").lower()
    for name, number in instrument_pb2.PaymentMethod.items()
}
_FUNDINGS: Final = {
    instrument_pb2.CARD_FUNDING_UNSPECIFIED: "unknown",
    instrument_pb2.CARD_FUNDING_CREDIT: "credit",
    instrument_pb2.CARD_FUNDING_DEBIT: "debit",
    instrument_pb2.CARD_FUNDING_PREPAID: "prepaid",
}
_OUTCOMES: Final = {
    number: Outcome(name.removeprefix("OUTCOME_").lower())
    for name, number in risk_service_pb2.ReportOutcomeRequest.Outcome.items()
    if number
}


def asked(request: risk_service_pb2.AssessRequest) -> Asked:
    """What the caller asks; FieldInvalid or AssetUnknown names the field."""
    instrument, customer, device = request.instrument, request.customer, request.device
    return Asked(
        merchant=request.merchant,
        payment=_payment(request.payment),
        direction=_DIRECTIONS[request.direction],
        amount=_money(request.amount),
        method=_METHODS[instrument.method],
        instrument=_identifier("instrument.fingerprint", instrument.fingerprint),
        bin=instrument.bin,
        brand=instrument.brand.lower(),
        funding=_FUNDINGS[instrument.funding],
        issuer_country=country("instrument.issuer_country", instrument.issuer_country),
        chain=instrument.chain,
        wallet=_wallet(instrument.wallet_address),
        customer=_identifier("customer.customer_id", customer.customer_id),
        customer_country=country("customer.country", customer.country),
        customer_subdivision=place("customer.subdivision", customer.subdivision),
        tags=_tags(customer.tags),
        device=_identifier("device.fingerprint", device.fingerprint),
        jurisdiction=place("jurisdiction", request.jurisdiction),
        merchant_reference=request.merchant_reference,
        has_email=bool(customer.email),
        has_ip_address=bool(device.ip_address),
    )


def report(request: risk_service_pb2.ReportOutcomeRequest) -> Report:
    """What the caller reports."""
    if len(request.code) > CODE_MAX_CHARS:
        raise FieldInvalid(
            "code", f"{len(request.code)} characters long", f"at most {CODE_MAX_CHARS} characters"
        )
    return Report(
        merchant=request.merchant,
        payment=_payment(request.payment),
        outcome=_OUTCOMES[request.outcome],
        amount=_money(request.amount) if request.HasField("amount") else None,
        code=request.code,
    )


def _payment(name: str) -> str:
    if PAYMENT.fullmatch(name) is None:
        raise FieldInvalid("payment", name[:64], "payments/pay_ and 26 characters of base32")
    return name


def _money(amount: money_pb2.Money) -> Money:
    if not is_known(amount.asset_code):
        raise AssetUnknown("amount.asset_code", amount.asset_code[:16])
    if amount.minor < 0:
        raise FieldInvalid("amount.minor", str(amount.minor), "0 or more minor units")
    return Money(amount.minor, amount.asset_code)


def _identifier(field: str, value: str) -> str:
    if len(value) > IDENTIFIER_MAX_CHARS:
        raise FieldInvalid(
            field, f"{len(value)} characters long", f"at most {IDENTIFIER_MAX_CHARS} characters"
        )
    return value.strip()


def _wallet(address: str) -> str:
    """Hexadecimal addresses differ by checksum case alone; other families keep their case."""
    value = _identifier("instrument.wallet_address", address)
    return value.lower() if value[:2] in {"0x", "0X"} else value


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    found = tuple(sorted({tag.strip() for tag in tags}))
    if len(found) > TAGS_MAX or any(len(tag) > TAG_MAX_CHARS for tag in found):
        raise FieldInvalid(
            "customer.tags",
            f"{len(found)} items long or holds a long one",
            f"at most {TAGS_MAX} tags of at most {TAG_MAX_CHARS} characters",
        )
    return found
