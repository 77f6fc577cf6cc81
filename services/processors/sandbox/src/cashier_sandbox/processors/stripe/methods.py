"""Payment methods: the sandbox's tokens as they are, and Stripe's well-known test methods."""

from __future__ import annotations

from cashier_sandbox.domain.script import behaviour_of
from cashier_sandbox.flows.refusals import Code, Refused

# After Stripe's documented test payment methods; a name may also carry the brand: `pm_card_visa_…`.
_DECLINES: dict[str, str] = {
    "chargeDeclined": "generic_decline",
    "chargeDeclinedInsufficientFunds": "insufficient_funds",
    "chargeDeclinedLostCard": "lost_card",
    "chargeDeclinedStolenCard": "stolen_card",
    "chargeDeclinedExpiredCard": "expired_card",
    "chargeDeclinedIncorrectCvc": "incorrect_cvc",
    "chargeDeclinedProcessingError": "processing_error",
    "chargeDeclinedFraudulent": "fraudulent",
    "chargeDeclinedVelocityLimitExceeded": "withdrawal_limit_exceeded",
    "chargeCustomerFail": "generic_decline",
}
_ACTIONS = (
    "authenticationRequired",
    "authenticationRequiredOnSetup",
    "threeDSecureRequired",
    "threeDSecure2Required",
)
BRANDS: dict[str, str] = {
    "visa": "visa",
    "visa_debit": "visa",
    "mastercard": "mastercard",
    "mastercard_debit": "mastercard",
    "mastercard_prepaid": "mastercard",
    "amex": "amex",
    "discover": "discover",
    "diners": "diners",
    "jcb": "jcb",
    "unionpay": "unionpay",
    "us": "visa",
    "gb": "visa",
    "de": "visa",
    "fr": "visa",
    "br": "visa",
    "jp": "jcb",
}
_BEHAVIOURS: dict[str, str] = {
    **dict.fromkeys(BRANDS, "tok_ok"),
    **{name: f"tok_decline_{code}" for name, code in _DECLINES.items()},
    **dict.fromkeys(_ACTIONS, "tok_action_required"),
}
_PREFIX = "pm_card_"
NAMES = frozenset(_PREFIX + name for name in _BEHAVIOURS)


def token_of(method: str, amount: int, param: str = "payment_method") -> str:
    """Return the sandbox's token for a payment method; Stripe's own keep their name as its label.

    Refused as Stripe refuses a payment method that the account does not have.
    """
    if method.startswith(_PREFIX):
        name = method.removeprefix(_PREFIX)
        behaviour = _BEHAVIOURS.get(name) or _BEHAVIOURS.get(name.removeprefix("visa_"))
        if behaviour:
            return f"{behaviour}.{method}"
    elif behaviour_of(method, amount) is not None:
        return method
    kind = "PaymentMethod" if param == "payment_method" else "external account"
    raise Refused(
        Code.UNKNOWN_TOKEN, f"No such {kind}: '{method}'", param, {"code": "resource_missing"}
    )


def brand_of(token: str) -> str:
    """Return the card brand that a token's label names, visa where it names none."""
    _, _, label = token.partition(".")
    return BRANDS.get(label.removeprefix(_PREFIX), "visa")
