"""The reasons to say no, with the advice that a real processor would send along."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Advice(StrEnum):
    """What the processor says about another try."""

    TRY_AGAIN = "try_again"
    DO_NOT_TRY_AGAIN = "do_not_try_again"
    NEVER_TRY_AGAIN = "never_try_again"


@dataclass(frozen=True, slots=True)
class Decline:
    """One reason: its code, a sentence for people, and the advice."""

    code: str
    message: str
    advice: Advice


_SOFT, _HARD, _NEVER = Advice.TRY_AGAIN, Advice.DO_NOT_TRY_AGAIN, Advice.NEVER_TRY_AGAIN

DECLINES: dict[str, Decline] = {
    row.code: row
    for row in (
        Decline("try_again_later", "The issuer asks to try again later.", _SOFT),
        Decline("issuer_unavailable", "The issuer could not be reached.", _SOFT),
        Decline("processing_error", "The processor could not process the card.", _SOFT),
        Decline("insufficient_funds", "The account has insufficient funds.", _HARD),
        Decline("withdrawal_limit_exceeded", "The card's limit is exceeded.", _HARD),
        Decline("do_not_honor", "The issuer refused without a reason.", _HARD),
        Decline("generic_decline", "The issuer refused without a reason.", _HARD),
        Decline("invalid_account", "The account does not exist.", _HARD),
        Decline("expired_card", "The card has expired.", _HARD),
        Decline("incorrect_cvc", "The security code is wrong.", _HARD),
        Decline("card_not_supported", "The card cannot be used for this.", _HARD),
        Decline("currency_not_supported", "The card cannot pay this currency.", _HARD),
        Decline("transaction_not_allowed", "The issuer does not allow this.", _HARD),
        Decline("authentication_failed", "The payer did not authenticate.", _HARD),
        Decline("authentication_required", "The payer has to authenticate first.", _HARD),
        Decline("fraudulent", "The processor suspects fraud.", _NEVER),
        Decline("lost_card", "The card was reported lost.", _NEVER),
        Decline("stolen_card", "The card was reported stolen.", _NEVER),
        Decline("pickup_card", "The issuer wants the card back.", _NEVER),
        Decline("restricted_card", "The card is restricted.", _NEVER),
        Decline("revocation_of_authorization", "The payer revoked the authorization.", _NEVER),
    )
}

# No bank said no: the payer of a code or voucher did not pay in time. Only what waits can expire.
EXPIRED = "expired"
NOT_PAID = Decline(EXPIRED, "The payer did not pay in time.", _HARD)
