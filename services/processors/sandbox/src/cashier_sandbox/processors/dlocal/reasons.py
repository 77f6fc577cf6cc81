"""The sandbox's declines as dLocal's status codes, with the sentence that stands beside each."""

from __future__ import annotations

REJECTED = "300"
# After dLocal's page "Payment status codes".
DETAILS: dict[str, str] = {
    "100": "The payment is pending.",
    "101": "The payment is pending 3D Secure authentication.",
    "200": "The payment was paid.",
    "300": "The payment was rejected.",
    "301": "Rejected by bank.",
    "302": "Insufficient amount.",
    "303": "Card blacklisted.",
    "308": "Credit card disabled.",
    "309": "Card expired.",
    "310": "Card reported lost.",
    "311": "Card requested by the bank.",
    "312": "Card restricted by the bank.",
    "313": "Card reported stolen.",
    "314": "Invalid card number.",
    "315": "Invalid security code.",
    "316": "Unsupported operation.",
    "317": "Rejected due to high risk.",
    "318": "Invalid transaction.",
    "319": "Amount exceeded.",
    "320": "3D-Secure is required.",
    "321": "Error in acquirer.",
    "400": "The payment was cancelled.",
    "500": "The payment was expired.",
    "600": "The payment was authorized.",
}
_CODES: dict[str, str] = {
    "try_again_later": "321",
    "issuer_unavailable": "321",
    "processing_error": "321",
    "insufficient_funds": "302",
    "withdrawal_limit_exceeded": "319",
    "do_not_honor": "301",
    "invalid_account": "314",
    "expired_card": "309",
    "incorrect_cvc": "315",
    "card_not_supported": "308",
    "currency_not_supported": "316",
    "transaction_not_allowed": "318",
    "authentication_failed": "320",
    "authentication_required": "320",
    "fraudulent": "317",
    "lost_card": "310",
    "stolen_card": "313",
    "pickup_card": "311",
    "restricted_card": "312",
    "revocation_of_authorization": "303",
}


def code_of(decline: str) -> str:
    """Return dLocal's status code for a decline of the sandbox."""
    return _CODES.get(decline, REJECTED)
