"""The life of one call to a processor, as a literal table; LIFECYCLE.md is its picture."""

from enum import StrEnum

from cashier_common.statetable import StateTable


class State(StrEnum):
    """Where a call stands; every state but ABSENT and SUBMITTING is an outcome's."""

    ABSENT = "ABSENT"  # this rail has no row of it
    SUBMITTING = "SUBMITTING"
    SUCCEEDED = "SUCCEEDED"
    DECLINED_HARD = "DECLINED_HARD"
    DECLINED_SOFT = "DECLINED_SOFT"
    NOT_SENT = "NOT_SENT"
    PENDING = "PENDING"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    IN_DOUBT = "IN_DOUBT"
    NOT_FOUND = "NOT_FOUND"
    EXPIRED = "EXPIRED"
    CONFLICTED = "CONFLICTED"


class Event(StrEnum):
    """What happens to a call: ours are SUBMIT and FENCE, the rest is what a processor showed."""

    SUBMIT = "SUBMIT"
    FENCE = "FENCE"  # a tombstone: whoever holds the lease writes nothing any more
    SUCCEED = "SUCCEED"
    DECLINE_HARD = "DECLINE_HARD"
    DECLINE_SOFT = "DECLINE_SOFT"
    FAIL_UNSENT = "FAIL_UNSENT"  # provably nothing left this machine
    PEND = "PEND"
    REQUIRE_ACTION = "REQUIRE_ACTION"
    LOSE_TRACK = "LOSE_TRACK"  # the default for everything that we do not recognise
    CLOSE = "CLOSE"  # nothing happened there, and nothing can any more
    CONFLICT = "CONFLICT"  # amount, asset or reference in the answer is not ours


S, E = State, Event
CALL = StateTable(
    name="Call",
    initial=S.ABSENT,
    transitions={
        (S.ABSENT, E.SUBMIT): S.SUBMITTING,
        (S.ABSENT, E.FENCE): S.IN_DOUBT,  # a tombstone for what this rail never saw
        (S.SUBMITTING, E.SUCCEED): S.SUCCEEDED,
        (S.SUBMITTING, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.SUBMITTING, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.SUBMITTING, E.FAIL_UNSENT): S.NOT_SENT,
        (S.SUBMITTING, E.PEND): S.PENDING,
        (S.SUBMITTING, E.REQUIRE_ACTION): S.ACTION_REQUIRED,
        (S.SUBMITTING, E.LOSE_TRACK): S.IN_DOUBT,
        (S.SUBMITTING, E.CONFLICT): S.CONFLICTED,
        (S.SUBMITTING, E.CLOSE): S.NOT_FOUND,
        (S.SUBMITTING, E.FENCE): S.IN_DOUBT,
        (S.IN_DOUBT, E.FENCE): S.IN_DOUBT,
        (S.IN_DOUBT, E.SUCCEED): S.SUCCEEDED,  # only evidence leaves this state
        (S.IN_DOUBT, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.IN_DOUBT, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.IN_DOUBT, E.PEND): S.PENDING,
        (S.IN_DOUBT, E.REQUIRE_ACTION): S.ACTION_REQUIRED,
        (S.IN_DOUBT, E.CLOSE): S.NOT_FOUND,
        (S.IN_DOUBT, E.CONFLICT): S.CONFLICTED,
        (S.PENDING, E.SUCCEED): S.SUCCEEDED,
        (S.PENDING, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.PENDING, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.PENDING, E.CLOSE): S.IN_DOUBT,  # it was there and is not any more: look again
        (S.PENDING, E.CONFLICT): S.CONFLICTED,
        (S.ACTION_REQUIRED, E.SUCCEED): S.SUCCEEDED,
        (S.ACTION_REQUIRED, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.ACTION_REQUIRED, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.ACTION_REQUIRED, E.PEND): S.PENDING,
        (S.ACTION_REQUIRED, E.CLOSE): S.EXPIRED,
        (S.ACTION_REQUIRED, E.CONFLICT): S.CONFLICTED,
        (S.CONFLICTED, E.FENCE): S.CONFLICTED,
        (S.CONFLICTED, E.SUCCEED): S.SUCCEEDED,  # a later look shows that it was ours after all
        (S.CONFLICTED, E.DECLINE_HARD): S.DECLINED_HARD,
        (S.CONFLICTED, E.DECLINE_SOFT): S.DECLINED_SOFT,
        (S.CONFLICTED, E.CLOSE): S.NOT_FOUND,
        (S.NOT_FOUND, E.SUCCEED): S.SUCCEEDED,  # it must not happen; if it did, it is the truth
    },
)
TABLES = [CALL]

# Answers that stand: asking the processor again cannot change what they mean.
CERTAIN = frozenset({S.SUCCEEDED, S.DECLINED_HARD, S.DECLINED_SOFT, S.NOT_SENT, S.EXPIRED})
# States in which somebody of ours may still send, so that a look-up fences before it asks.
FENCEABLE = frozenset({S.SUBMITTING, S.IN_DOUBT, S.CONFLICTED})
