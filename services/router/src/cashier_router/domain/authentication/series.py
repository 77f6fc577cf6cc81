"""The authentications of one payment: when another may begin, and who may use the proof of one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from cashier_router.domain.authentication.attempt import Attempt, Bound
from cashier_router.domain.authentication.consequence import Verdict, consequence
from cashier_router.domain.authentication.lifecycle import AuthenticationState
from cashier_router.domain.authentication.policy import Reason

# A customer who fails or walks away as often as this is not asked again for this payment.
ATTEMPTS_MAX: Final = 3
# Response codes by which an issuer asks for strong authentication instead of declining: EBA, and
# the schemes' SCA guides. Network advice and text of any other decline is none.
SOFT_DECLINES: Final = frozenset({("visa", "1A"), ("mastercard", "65"), ("maestro", "65")})
S = AuthenticationState


class Refused(StrEnum):
    """Why it may not."""

    ATTEMPT_LIVE = "attempt_live"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    CARD_REJECTED = "card_rejected"  # the issuer said no to this card: not again
    NOT_AUTHENTICATED = "not_authenticated"  # a no is no reason to ask again
    ALREADY_STEPPED_UP = "already_stepped_up"
    NOT_A_SOFT_DECLINE = "not_a_soft_decline"
    ALREADY_CHALLENGED = "already_challenged"  # the issuer has seen its challenge passed
    STILL_LIVE = "still_live"
    CONTESTED = "contested"
    CONSUMED = "consumed"
    TERMS_DIFFER = "terms_differ"  # amount, asset, card or merchant: authenticate anew
    WITHOUT_AUTHORITY = "without_authority"  # its end does not allow an authorization


def may_begin(attempts: Sequence[Attempt], *, step_up: bool = False) -> Refused | None:
    """Whether the payment may begin one more attempt; None when it may.

    Choices to ask nobody count for nothing: a soft decline of an exempted payment has three tries.
    """
    asked = [attempt for attempt in attempts if attempt.asked_issuer]
    if any(attempt.is_live for attempt in attempts):
        return Refused.ATTEMPT_LIVE
    if any(attempt.state is S.REJECTED for attempt in attempts):
        return Refused.CARD_REJECTED
    if any(attempt.state is S.FAILED for attempt in attempts):
        return Refused.NOT_AUTHENTICATED
    if step_up and any(attempt.choice.reason is Reason.SOFT_DECLINE for attempt in attempts):
        return Refused.ALREADY_STEPPED_UP
    if len(asked) >= ATTEMPTS_MAX:
        return Refused.ATTEMPTS_EXHAUSTED
    return None


def may_step_up(attempts: Sequence[Attempt], *, brand: str, code: str) -> Refused | None:
    """Whether a decline opens the one step-up of this payment; None when it does.

    A customer who walked away from the step-up may repeat it by ConfirmPayment: that is no second
    step-up, but a further attempt of the same one.
    """
    if (brand, code) not in SOFT_DECLINES:
        return Refused.NOT_A_SOFT_DECLINE
    if any(a.challenged and a.state is S.AUTHENTICATED for a in attempts):
        return Refused.ALREADY_CHALLENGED
    return may_begin(attempts, step_up=True)


def consume(
    attempt: Attempt, bound: Bound, operation: str, now: datetime, *, unused: str = ""
) -> Attempt | Refused:
    """The attempt with its proof given to `operation`, to be stored before that is sent.

    Compare-and-set on `version` makes it the only one. Asking again for the same operation changes
    nothing. `unused` is an operation of which it is proven that no processor ever got its request:
    its proof is still fresh. Where no issuer was asked there is no proof to use up.
    """
    if attempt.is_live:
        return Refused.STILL_LIVE
    if attempt.bound != bound:
        return Refused.TERMS_DIFFER
    if attempt.consumed_by == operation:
        return attempt
    if attempt.asked_issuer and attempt.consumed_by not in ("", unused):
        return Refused.CONSUMED
    if attempt.contested:
        return Refused.CONTESTED
    ended = consequence(attempt, further_allowed=False, payment_over=False)
    if ended.verdict not in (Verdict.AUTHORIZE, Verdict.REVIEW):
        return Refused.WITHOUT_AUTHORITY
    return replace(attempt, consumed_by=operation, version=attempt.version + 1, update_time=now)


def exemption_answered(attempt: Attempt, now: datetime, *, granted: bool) -> Attempt:
    """The attempt once the authorization told whether its exemption was granted; told once."""
    if attempt.choice.exemption is None or attempt.exemption_granted is not None:
        return attempt
    return replace(attempt, exemption_granted=granted, version=attempt.version + 1, update_time=now)
