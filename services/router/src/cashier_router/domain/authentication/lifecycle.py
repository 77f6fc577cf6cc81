"""The states of an authentication as a literal; time-outs are events like all others."""

from enum import StrEnum
from typing import Final

from cashier_common.statetable import StateTable


class AuthenticationState(StrEnum):
    """Where one authentication stands."""

    CREATED = "created"
    VERSIONING = "versioning"  # does the card's range take part, and in which version
    METHOD = "method"  # the issuer's page looks at the browser
    AREQ = "areq"  # the issuer was asked, or will be
    CHALLENGE = "challenge"
    DECOUPLED = "decoupled"  # the issuer asks the customer elsewhere, without our page
    RESOLVING = "resolving"  # time is up, and the server's result is being fetched
    AUTHENTICATED = "authenticated"
    ATTEMPTED = "attempted"
    INFORMATIONAL = "informational"
    EXEMPT = "exempt"
    SKIPPED = "skipped"
    FAILED = "failed"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    ABANDONED = "abandoned"
    EXPIRED = "expired"


class AuthenticationEvent(StrEnum):
    """What can happen to an authentication."""

    SKIP = "skip"
    EXEMPT = "exempt"  # the exemption is asked for in the authorization
    BEGIN = "begin"
    HAND_OVER = "hand_over"  # the processor asks the issuer, within its own authorization
    FIND_RANGE = "find_range"
    FIND_METHOD = "find_method"
    FIND_NONE = "find_none"
    FINISH_METHOD = "finish_method"
    RETRY = "retry"  # once, as a new 3-D Secure transaction
    AUTHENTICATE = "authenticate"
    ATTEMPT = "attempt"
    CHALLENGE = "challenge"
    DECOUPLE = "decouple"
    INFORM = "inform"
    FAIL = "fail"
    REJECT = "reject"
    GIVE_UP = "give_up"
    WALK_AWAY = "walk_away"
    LAPSE = "lapse"
    RETURN = "return"  # the browser came back: a reason to fetch, and nothing more
    TIME_OUT = "time_out"
    HOLD = "hold"  # only the processor's word ends this, never a clock
    WITHDRAW = "withdraw"  # the payment was canceled


S, E = AuthenticationState, AuthenticationEvent
AUTHENTICATION: Final = StateTable(
    name="authentication",
    initial=S.CREATED,
    transitions={
        (S.CREATED, E.SKIP): S.SKIPPED,
        (S.CREATED, E.EXEMPT): S.EXEMPT,
        (S.CREATED, E.BEGIN): S.VERSIONING,
        (S.CREATED, E.HAND_OVER): S.AREQ,
        (S.CREATED, E.WITHDRAW): S.ABANDONED,
        (S.VERSIONING, E.FIND_METHOD): S.METHOD,
        (S.VERSIONING, E.FIND_RANGE): S.AREQ,
        (S.VERSIONING, E.RETRY): S.VERSIONING,
        (S.VERSIONING, E.FIND_NONE): S.UNAVAILABLE,
        (S.VERSIONING, E.GIVE_UP): S.UNAVAILABLE,
        (S.VERSIONING, E.WITHDRAW): S.ABANDONED,
        (S.METHOD, E.FINISH_METHOD): S.AREQ,
        (S.METHOD, E.TIME_OUT): S.AREQ,
        (S.METHOD, E.WITHDRAW): S.ABANDONED,
        (S.AREQ, E.AUTHENTICATE): S.AUTHENTICATED,
        (S.AREQ, E.ATTEMPT): S.ATTEMPTED,
        (S.AREQ, E.CHALLENGE): S.CHALLENGE,
        (S.AREQ, E.DECOUPLE): S.DECOUPLED,
        (S.AREQ, E.INFORM): S.INFORMATIONAL,
        (S.AREQ, E.FAIL): S.FAILED,
        (S.AREQ, E.REJECT): S.REJECTED,
        (S.AREQ, E.RETRY): S.AREQ,
        (S.AREQ, E.GIVE_UP): S.UNAVAILABLE,
        (S.AREQ, E.HOLD): S.AREQ,
        # The final result may overtake the answer that promised a challenge.
        (S.AREQ, E.WALK_AWAY): S.ABANDONED,
        (S.AREQ, E.LAPSE): S.EXPIRED,
        (S.AREQ, E.WITHDRAW): S.ABANDONED,
        (S.CHALLENGE, E.AUTHENTICATE): S.AUTHENTICATED,
        (S.CHALLENGE, E.ATTEMPT): S.ATTEMPTED,
        (S.CHALLENGE, E.FAIL): S.FAILED,
        (S.CHALLENGE, E.REJECT): S.REJECTED,
        (S.CHALLENGE, E.GIVE_UP): S.UNAVAILABLE,
        (S.CHALLENGE, E.WALK_AWAY): S.ABANDONED,
        (S.CHALLENGE, E.LAPSE): S.EXPIRED,
        (S.CHALLENGE, E.RETURN): S.CHALLENGE,
        (S.CHALLENGE, E.TIME_OUT): S.RESOLVING,
        (S.CHALLENGE, E.WITHDRAW): S.ABANDONED,
        (S.DECOUPLED, E.AUTHENTICATE): S.AUTHENTICATED,
        (S.DECOUPLED, E.ATTEMPT): S.ATTEMPTED,
        (S.DECOUPLED, E.FAIL): S.FAILED,
        (S.DECOUPLED, E.REJECT): S.REJECTED,
        (S.DECOUPLED, E.GIVE_UP): S.UNAVAILABLE,
        (S.DECOUPLED, E.WALK_AWAY): S.ABANDONED,
        (S.DECOUPLED, E.LAPSE): S.EXPIRED,
        (S.DECOUPLED, E.RETURN): S.DECOUPLED,
        (S.DECOUPLED, E.TIME_OUT): S.RESOLVING,
        (S.DECOUPLED, E.WITHDRAW): S.ABANDONED,
        (S.RESOLVING, E.AUTHENTICATE): S.AUTHENTICATED,
        (S.RESOLVING, E.ATTEMPT): S.ATTEMPTED,
        (S.RESOLVING, E.FAIL): S.FAILED,
        (S.RESOLVING, E.REJECT): S.REJECTED,
        (S.RESOLVING, E.GIVE_UP): S.UNAVAILABLE,
        (S.RESOLVING, E.WALK_AWAY): S.ABANDONED,
        (S.RESOLVING, E.LAPSE): S.EXPIRED,
        (S.RESOLVING, E.HOLD): S.RESOLVING,
        (S.RESOLVING, E.WITHDRAW): S.ABANDONED,
    },
)
TERMINAL: Final = AUTHENTICATION.terminal
# The issuer, the customer or the clock may still move it.
LIVE: Final = frozenset(AUTHENTICATION.states) - TERMINAL
# A final result of the server's may come in these.
AWAITING: Final = frozenset({S.AREQ, S.CHALLENGE, S.DECOUPLED, S.RESOLVING})
# The customer's page may show something.
SHOWN: Final = frozenset({S.CHALLENGE, S.DECOUPLED})
# Nobody proved to be the card's holder, and the payment may ask once more.
FAILURES: Final = frozenset({S.FAILED, S.REJECTED, S.UNAVAILABLE, S.ABANDONED, S.EXPIRED})
