"""What the end of an authentication means for its payment, as one literal table."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cashier_router.domain.authentication.attempt import Attempt, Flow
from cashier_router.domain.authentication.liability import Party
from cashier_router.domain.authentication.lifecycle import AuthenticationState
from cashier_router.domain.authentication.policy import Band, Treatment

S = AuthenticationState


class Verdict(StrEnum):
    """What becomes of the payment."""

    AUTHORIZE = "authorize"
    REVIEW = "review"
    STOP = "stop"
    WAIT = "wait"  # for ConfirmPayment, which may begin a new attempt
    CANCEL = "cancel"
    FOLLOW_PROCESSOR = "follow_processor"  # its own authorization says what happened


class Ground(StrEnum):
    """Why."""

    PROVEN = "proven"
    PROOF_INCOMPLETE = "proof_incomplete"  # authenticated, and the issuer answers for nothing
    CONTESTED = "contested"
    ATTEMPTED = "attempted"
    EXEMPTED = "exempted"
    INFORMATIONAL_ASKED = "informational_asked"
    INFORMATIONAL_UNASKED = "informational_unasked"
    NOT_ASKED = "not_asked"
    COULD_NOT_BE_ASKED = "could_not_be_asked"
    NOT_AUTHENTICATED = "not_authenticated"
    REJECTED_BY_ISSUER = "rejected_by_issuer"
    CUSTOMER_LEFT = "customer_left"
    TIME_RAN_OUT = "time_ran_out"
    TRIES_EXHAUSTED = "tries_exhausted"
    PAYMENT_OVER = "payment_over"
    PROCESSOR_DECIDES = "processor_decides"


@dataclass(frozen=True, slots=True)
class Consequence:
    """What is done and why. `liable` answers for fraud if it is authorized.

    `block_card`: this card makes no further attempt in this session of the customer's.
    """

    verdict: Verdict
    ground: Ground
    liable: Party
    block_card: bool = False


_A, _R, _X = Verdict.AUTHORIZE, Verdict.REVIEW, Verdict.STOP
_LAW, _FREE = True, False  # whether the law asks for strong authentication of this payment
_LOW, _MEDIUM, _HIGH = Band.LOW, Band.MEDIUM, Band.HIGH
# Ends without a proof that the issuer answers for: by what the law asks, and what risk thinks.
UNPROVEN: Final[dict[tuple[Ground, bool, Band], Verdict]] = {
    (Ground.ATTEMPTED, _LAW, _LOW): _A,
    (Ground.ATTEMPTED, _LAW, _MEDIUM): _A,
    (Ground.ATTEMPTED, _LAW, _HIGH): _R,
    (Ground.ATTEMPTED, _FREE, _LOW): _A,
    (Ground.ATTEMPTED, _FREE, _MEDIUM): _A,
    (Ground.ATTEMPTED, _FREE, _HIGH): _R,
    (Ground.PROOF_INCOMPLETE, _LAW, _LOW): _R,
    (Ground.PROOF_INCOMPLETE, _LAW, _MEDIUM): _R,
    (Ground.PROOF_INCOMPLETE, _LAW, _HIGH): _X,
    (Ground.PROOF_INCOMPLETE, _FREE, _LOW): _A,
    (Ground.PROOF_INCOMPLETE, _FREE, _MEDIUM): _R,
    (Ground.PROOF_INCOMPLETE, _FREE, _HIGH): _X,
    (Ground.EXEMPTED, _LAW, _LOW): _A,
    (Ground.EXEMPTED, _LAW, _MEDIUM): _A,
    (Ground.EXEMPTED, _LAW, _HIGH): _R,
    (Ground.EXEMPTED, _FREE, _LOW): _A,
    (Ground.EXEMPTED, _FREE, _MEDIUM): _A,
    (Ground.EXEMPTED, _FREE, _HIGH): _R,
    (Ground.INFORMATIONAL_ASKED, _LAW, _LOW): _A,
    (Ground.INFORMATIONAL_ASKED, _LAW, _MEDIUM): _A,
    (Ground.INFORMATIONAL_ASKED, _LAW, _HIGH): _R,
    (Ground.INFORMATIONAL_ASKED, _FREE, _LOW): _A,
    (Ground.INFORMATIONAL_ASKED, _FREE, _MEDIUM): _A,
    (Ground.INFORMATIONAL_ASKED, _FREE, _HIGH): _R,
    (Ground.INFORMATIONAL_UNASKED, _LAW, _LOW): _X,
    (Ground.INFORMATIONAL_UNASKED, _LAW, _MEDIUM): _X,
    (Ground.INFORMATIONAL_UNASKED, _LAW, _HIGH): _X,
    (Ground.INFORMATIONAL_UNASKED, _FREE, _LOW): _A,
    (Ground.INFORMATIONAL_UNASKED, _FREE, _MEDIUM): _R,
    (Ground.INFORMATIONAL_UNASKED, _FREE, _HIGH): _X,
    # The law asks, and nobody was asked: a payment of the merchant's without the first one's proof.
    (Ground.NOT_ASKED, _LAW, _LOW): _X,
    (Ground.NOT_ASKED, _LAW, _MEDIUM): _X,
    (Ground.NOT_ASKED, _LAW, _HIGH): _X,
    (Ground.NOT_ASKED, _FREE, _LOW): _A,
    (Ground.NOT_ASKED, _FREE, _MEDIUM): _A,
    (Ground.NOT_ASKED, _FREE, _HIGH): _R,
    (Ground.COULD_NOT_BE_ASKED, _LAW, _LOW): _X,
    (Ground.COULD_NOT_BE_ASKED, _LAW, _MEDIUM): _X,
    (Ground.COULD_NOT_BE_ASKED, _LAW, _HIGH): _X,
    (Ground.COULD_NOT_BE_ASKED, _FREE, _LOW): _A,
    (Ground.COULD_NOT_BE_ASKED, _FREE, _MEDIUM): _R,
    (Ground.COULD_NOT_BE_ASKED, _FREE, _HIGH): _X,
}
_GROUNDS: Final[dict[AuthenticationState, Ground]] = {
    S.AUTHENTICATED: Ground.PROOF_INCOMPLETE,
    S.ATTEMPTED: Ground.ATTEMPTED,
    S.EXEMPT: Ground.EXEMPTED,
    S.SKIPPED: Ground.NOT_ASKED,
    S.UNAVAILABLE: Ground.COULD_NOT_BE_ASKED,
}


def consequence(attempt: Attempt, *, further_allowed: bool, payment_over: bool) -> Consequence:
    """What the end of `attempt` means; a live one is waited for.

    `further_allowed`: whether the payment may begin another attempt (`series.may_begin`).
    `payment_over`: whether it was canceled or its own time is up. Of a processor that authenticates
    by itself only its authorization counts.
    """
    liable = attempt.liability.party if attempt.liability else Party.MERCHANT
    ours = Party.MERCHANT
    match attempt.state:
        case _ if attempt.is_live:
            return Consequence(Verdict.WAIT, Ground.NOT_ASKED, ours)
        case _ if attempt.flow is Flow.NATIVE and attempt.choice.treatment is _ASKED:
            return Consequence(Verdict.FOLLOW_PROCESSOR, Ground.PROCESSOR_DECIDES, liable)
        case S.FAILED:
            return Consequence(Verdict.STOP, Ground.NOT_AUTHENTICATED, ours)
        case S.REJECTED:
            return Consequence(Verdict.STOP, Ground.REJECTED_BY_ISSUER, ours, block_card=True)
        case S.ABANDONED | S.EXPIRED:
            return _left(attempt, further_allowed=further_allowed, payment_over=payment_over)
        case _ if payment_over:
            return Consequence(Verdict.CANCEL, Ground.PAYMENT_OVER, ours)
        case _ if attempt.contested:
            return Consequence(Verdict.REVIEW, Ground.CONTESTED, ours)
        case S.AUTHENTICATED if liable is Party.ISSUER:
            return Consequence(Verdict.AUTHORIZE, Ground.PROVEN, liable)
    ground = _ground(attempt)
    verdict = UNPROVEN[ground, attempt.choice.in_scope, attempt.choice.band]
    return Consequence(verdict, ground, liable)


_ASKED: Final = Treatment.AUTHENTICATE


def _left(attempt: Attempt, *, further_allowed: bool, payment_over: bool) -> Consequence:
    """Nobody finished it: the payment waits for another try until its time or its tries are up."""
    if payment_over:
        return Consequence(Verdict.CANCEL, Ground.PAYMENT_OVER, Party.MERCHANT)
    if not further_allowed:
        return Consequence(Verdict.CANCEL, Ground.TRIES_EXHAUSTED, Party.MERCHANT, block_card=True)
    left = attempt.state is S.ABANDONED
    ground = Ground.CUSTOMER_LEFT if left else Ground.TIME_RAN_OUT
    return Consequence(Verdict.WAIT, ground, Party.MERCHANT)


def _ground(attempt: Attempt) -> Ground:
    if attempt.state is S.INFORMATIONAL:
        asked = attempt.choice.exemption is not None
        return Ground.INFORMATIONAL_ASKED if asked else Ground.INFORMATIONAL_UNASKED
    return _GROUNDS[attempt.state]
