"""What the router refuses beyond what every service does."""

from dataclasses import dataclass

from cashier_common.errors import Kind, Refusal


@dataclass
class PaymentExists(Refusal):
    """The key was reaped, and the payment that it made is still there."""

    kind = Kind.EXISTS
    reason = "PAYMENT_EXISTS"
    text = "{payment} was made with this idempotency key long ago: use a new key for a new payment"
    payment: str


@dataclass
class MerchantReferenceInUse(Refusal):
    """At most one live payment per merchant has a reference."""

    kind = Kind.EXISTS
    reason = "MERCHANT_REFERENCE_IN_USE"
    text = (
        "merchant_reference {merchant_reference} belongs to a live payment of {merchant}: "
        "use another reference, or wait until that payment has failed"
    )
    merchant: str
    merchant_reference: str
