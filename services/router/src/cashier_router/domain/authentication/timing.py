"""How long an authentication may stay where it is; deadlines are absolute from the moment set."""

from datetime import datetime, timedelta
from typing import Final

from cashier_router.domain.authentication.attempt import Attempt, Flow
from cashier_router.domain.authentication.lifecycle import AuthenticationState

S = AuthenticationState
# EMV 3-D Secure core specification 5.5: the method has ten seconds. The range is a look-up, and the
# issuer's first answer is waited for as long as other gateways do (10 to 12 s, Cybersource).
STATE_S: Final = {S.VERSIONING: 5, S.METHOD: 10, S.AREQ: 10, S.CHALLENGE: 900, S.RESOLVING: 30}
# A processor that authenticates by itself answers its authorization, however long that takes: this
# is how often it is asked, and no deadline.
NATIVE_ASK_S: Final = 60
# Of an answer that did not come: once more, as a new transaction.
TRIES_MAX: Final = 2
# A page that reloads itself makes no more fetches than this.
FETCH_PAUSE_S: Final = 2


def deadline(attempt: Attempt, state: AuthenticationState, now: datetime) -> datetime | None:
    """When the state that is entered now ends by itself; None where it has ended for good."""
    if state is S.DECOUPLED:
        return now + timedelta(minutes=attempt.choice.decoupled_max_minutes)
    if attempt.flow is Flow.NATIVE and state in (S.AREQ, S.RESOLVING):
        return now + timedelta(seconds=NATIVE_ASK_S)
    seconds = STATE_S.get(state)
    return None if seconds is None else now + timedelta(seconds=seconds)


def next_fetch(attempt: Attempt, now: datetime) -> datetime:
    """When a browser's return may make us fetch: at once, but not more often than allowed."""
    if attempt.fetched_at is None:
        return now
    return max(now, attempt.fetched_at + timedelta(seconds=FETCH_PAUSE_S))
