"""What a payment refuses as it stands; nothing was written."""

from dataclasses import dataclass

from cashier_common.errors import Kind, Refusal


@dataclass
class PaymentStateRefused(Refusal):
    """The payment's state does not allow the wish."""

    kind = Kind.REFUSED
    reason = "PAYMENT_STATE_REFUSED"
    text = "{payment} is {state} and cannot be {wish}: {way_out}"
    payment: str
    state: str
    wish: str
    way_out: str


@dataclass
class AmountNotAvailable(Refusal):
    """More is asked for than is left; minor units."""

    kind = Kind.REFUSED
    reason = "AMOUNT_NOT_AVAILABLE"
    text = "{asked} {asset} of {payment} cannot be {wish}: {available} {asset} are available"
    payment: str
    wish: str
    asked: int
    available: int
    asset: str


@dataclass
class AmountAssetDiffers(Refusal):
    """The amount is in another asset than the payment's."""

    kind = Kind.INVALID
    reason = "AMOUNT_ASSET_DIFFERS"
    text = "{field} is {value}, and {payment} is in {asset}: leave it out or send {asset}"
    field: str
    value: str
    payment: str
    asset: str


@dataclass
class OperationsExhausted(Refusal):
    """The payment has as many operations as one payment may have."""

    kind = Kind.REFUSED
    reason = "OPERATIONS_EXHAUSTED"
    text = "{payment} has {limit} operations and takes no more: use larger parts"
    payment: str
    limit: int


@dataclass
class OperationStateRefused(Refusal):
    """The operation's state does not allow the override."""

    kind = Kind.REFUSED
    reason = "OPERATION_STATE_REFUSED"
    text = "{operation} is {state} and cannot be {wish}: that is possible from {possible}"
    operation: str
    state: str
    wish: str
    possible: str


@dataclass
class EvidenceContradicts(Refusal):
    """The rail knows better than the operator; what it told was recorded."""

    kind = Kind.REFUSED
    reason = "EVIDENCE_CONTRADICTS"
    text = "the rail says that {operation} is {state}: look at the payment again"
    operation: str
    state: str


@dataclass
class OriginRefused(Refusal):
    """A payout names a payment that it cannot give back."""

    kind = Kind.REFUSED
    reason = "ORIGIN_REFUSED"
    text = "origin_payment {payment} cannot be paid out: {problem}"
    payment: str
    problem: str
