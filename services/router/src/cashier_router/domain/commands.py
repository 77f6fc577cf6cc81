"""What merchants and operators ask for, each under one idempotency key."""

import hashlib
from dataclasses import dataclass, field

import orjson

from cashier_common import ids
from cashier_common.money import Money
from cashier_router.domain.instrument import Instrument
from cashier_router.domain.lifecycle import OperationState
from cashier_router.domain.payment import CaptureMethod, Direction, Terms

# Version of each fingerprint's recipe: a change of the recipe must not turn a replay into a
# refusal. The name of the method is part of it, so one key serves one method.
CREATE_PAYMENT, CREATE_PAYOUT = b"create-payment/1\0", b"create-payout/1\0"
FOLLOW_UP = b"follow-up/1\0"


@dataclass(frozen=True, slots=True)
class CreatePayment:
    """A payment, or a payout by its direction.

    `payment` is the name of the payment that it makes, and no other; `fingerprint` is the SHA-256
    over every field that means something, amount and asset included.
    """

    merchant: str
    key: str
    merchant_reference: str
    amount: Money
    capture_method: CaptureMethod
    terms: Terms
    direction: Direction = Direction.PAYMENT
    origin_payment: str = ""
    payment: str = field(init=False)
    fingerprint: bytes = field(init=False)

    def __post_init__(self) -> None:
        told: tuple[object, ...] = (
            self.merchant_reference, self.amount, self.capture_method, self.terms,
        )  # fmt: skip
        recipe = CREATE_PAYMENT
        if self.direction is Direction.PAYOUT:
            recipe, told = CREATE_PAYOUT, (*told, self.origin_payment)
        object.__setattr__(self, "payment", ids.payment_name(self.merchant, self.key))
        object.__setattr__(self, "fingerprint", _digest(recipe, told))

    @property
    def method(self) -> str:
        """Name of the method that was called."""
        return "CreatePayout" if self.direction is Direction.PAYOUT else "CreatePayment"

    @property
    def instrument(self) -> Instrument:
        """What the customer pays with, or is paid on."""
        return self.terms.instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What is asked of a payment that exists. The fingerprint covers method and every field."""

    merchant: str
    key: str
    payment: str

    @property
    def method(self) -> str:
        """Name of the method that was called."""
        return type(self).__name__

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over every field that means something."""
        fields = [getattr(self, name) for name in self.__dataclass_fields__ if name != "key"]
        return _digest(FOLLOW_UP, (self.method, *fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePayment(FollowUp):
    """Take `amount`, or all that is left; `final` releases the rest."""

    amount: Money | None
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPayment(FollowUp):
    """Release what is authorized and not captured."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPayment(FollowUp):
    """Give `amount` back, or all that is left."""

    amount: Money | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPayment(FollowUp):
    """Go on after the customer acted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(FollowUp):
    """What an operator decides about one operation, over his name, reason and the etag he saw."""

    number: int
    operator: str
    reason: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOperation(Override):
    """Look an operation up and open a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveInDoubt(Override):
    """End a doubt by a proof."""

    resolution: OperationState
    proof: str


def _digest(recipe: bytes, told: tuple[object, ...]) -> bytes:
    text = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(recipe + text).digest()
