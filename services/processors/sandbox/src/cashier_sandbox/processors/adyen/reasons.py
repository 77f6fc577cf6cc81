"""The sandbox's declines in Adyen's words: result, refusal reason, raw reason, scheme advice."""

from __future__ import annotations

from dataclasses import dataclass

from cashier_sandbox.domain.declines import DECLINES, Advice


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a payment was refused; `raw` is what the acquirer said."""

    code: str
    text: str
    raw: str
    result: str = "Refused"


# Adyen's page "Refusal reasons" has the codes and texts, "Raw responses" the acquirers' own.
_REASONS: dict[str, Reason] = {
    "try_again_later": Reason("9", "Issuer Unavailable", "19 : Re-enter transaction"),
    "issuer_unavailable": Reason("9", "Issuer Unavailable", "91 : Issuer unavailable"),
    "processing_error": Reason("4", "Acquirer Error", "96 : System malfunction", "Error"),
    "insufficient_funds": Reason("12", "Not enough balance", "51 : Insufficient funds"),
    "withdrawal_limit_exceeded": Reason(
        "28", "Withdrawal amount exceeded", "61 : Exceeds withdrawal amount limit"
    ),
    "do_not_honor": Reason("2", "Refused", "05 : Do not honor"),
    "generic_decline": Reason("2", "Refused", "DECLINED"),
    "invalid_account": Reason("8", "Invalid Card Number", "14 : Invalid card number"),
    "expired_card": Reason("6", "Expired Card", "54 : Expired card"),
    "incorrect_cvc": Reason("24", "CVC Declined", "N7 : Decline for CVV2 failure"),
    "card_not_supported": Reason("10", "Not supported", "57 : Function not permitted"),
    "currency_not_supported": Reason("10", "Not supported", "12 : Invalid transaction"),
    "transaction_not_allowed": Reason(
        "23", "Transaction Not Permitted", "57 : Transaction not permitted"
    ),
    "authentication_failed": Reason("11", "3D Not Authenticated", "3D Not Authenticated"),
    "authentication_required": Reason("38", "Authentication required", "1A : SCA required"),
    "fraudulent": Reason("20", "FRAUD", "59 : Suspected fraud"),
    "lost_card": Reason("5", "Blocked Card", "41 : Lost card"),
    "stolen_card": Reason("5", "Blocked Card", "43 : Stolen card"),
    "pickup_card": Reason("5", "Blocked Card", "04 : Pick up card"),
    "restricted_card": Reason("25", "Restricted Card", "62 : Restricted card"),
    "revocation_of_authorization": Reason("26", "Revocation Of Auth", "R1 : Revocation of auth"),
}
_OTHER = Reason("2", "Refused", "DECLINED")
# Mastercard's merchant advice codes, as Adyen shows them.
_ADVICE: dict[Advice, str] = {
    Advice.TRY_AGAIN: "02 : Cannot approve at this time, try again later",
    Advice.NEVER_TRY_AGAIN: "03 : Do not try again",
}


def reason_of(decline: str) -> Reason:
    """Return Adyen's reason for a decline of the sandbox."""
    return _REASONS.get(decline, _OTHER)


def advice_of(decline: str) -> dict[str, str]:
    """Return what the scheme advises about another try, where it advises anything."""
    row = DECLINES.get(decline)
    advice = _ADVICE.get(row.advice) if row else None
    return {"merchantAdviceCode": advice} if advice else {}
