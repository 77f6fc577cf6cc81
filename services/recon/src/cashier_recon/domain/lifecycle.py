"""Every state machine of recon as a literal; LIFECYCLE.md is drawn from `TABLES`."""

from enum import StrEnum
from typing import Any

from cashier_common.statetable import StateTable


class ExpectationState(StrEnum):
    """Where an operation's settlement stands."""

    NEW = "NEW"
    PENDING = "PENDING"  # accepted by the rail, the answer comes later
    DOUBT = "DOUBT"  # nobody knows whether money moved
    OPEN = "OPEN"  # booked, must settle
    DECLINED = "DECLINED"  # must not settle
    RELEASED = "RELEASED"  # an authorization: its captures settle, not itself
    SETTLED = "SETTLED"
    DIFFERS = "DIFFERS"  # settled with another amount or asset; an exception says so
    WRITTEN_OFF = "WRITTEN_OFF"


class ExpectationEvent(StrEnum):
    PEND = "PEND"
    LOSE_TRACK = "LOSE_TRACK"
    BOOK = "BOOK"
    DECLINE = "DECLINE"
    RELEASE = "RELEASE"
    SETTLE = "SETTLE"
    DIFFER = "DIFFER"
    WRITE_OFF = "WRITE_OFF"


class LineState(StrEnum):
    """What became of a statement line."""

    NEW = "NEW"
    SETTLED = "SETTLED"
    DIFFERS = "DIFFERS"
    BOOKED = "BOOKED"  # needs no expectation: processor payouts, fees, reserves
    SUSPENDED = "SUSPENDED"  # in suspense; a later run may still find its operation
    PARKED = "PARKED"  # in suspense until a person decides


class LineEvent(StrEnum):
    SETTLE = "SETTLE"
    DIFFER = "DIFFER"
    BOOK = "BOOK"
    SUSPEND = "SUSPEND"
    PARK = "PARK"


class ExceptionState(StrEnum):
    """The names are those of `ReconException.State` without its prefix."""

    DETECTED = "DETECTED"
    PENDING = "PENDING"
    OPEN = "OPEN"
    ASSIGNED = "ASSIGNED"
    AWAITING_PROVIDER = "AWAITING_PROVIDER"
    AWAITING_CUSTOMER = "AWAITING_CUSTOMER"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    RESOLVED = "RESOLVED"
    WRITTEN_OFF = "WRITTEN_OFF"
    REJECTED = "REJECTED"
    REOPENED = "REOPENED"


class ExceptionEvent(StrEnum):
    OPEN = "OPEN"
    WAIT_GRACE = "WAIT_GRACE"
    CLAIM = "CLAIM"
    ASK_PROVIDER = "ASK_PROVIDER"
    ASK_CUSTOMER = "ASK_CUSTOMER"
    ASK_APPROVAL = "ASK_APPROVAL"
    RESOLVE = "RESOLVE"
    LATE_MATCH = "LATE_MATCH"  # the other side arrived by itself
    WRITE_OFF = "WRITE_OFF"
    REJECT = "REJECT"
    COME_BACK = "COME_BACK"


class RunState(StrEnum):
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    INCOMPLETE = "INCOMPLETE"
    FAILED = "FAILED"


class RunEvent(StrEnum):
    FINISH = "FINISH"
    FALL_SHORT = "FALL_SHORT"
    BREAK = "BREAK"


X, V = ExpectationState, ExpectationEvent
EXPECTATION: StateTable[ExpectationState, ExpectationEvent] = StateTable(
    name="expectation",
    initial=X.NEW,
    transitions={
        (X.NEW, V.PEND): X.PENDING,
        (X.NEW, V.LOSE_TRACK): X.DOUBT,
        (X.NEW, V.BOOK): X.OPEN,
        (X.NEW, V.DECLINE): X.DECLINED,
        (X.NEW, V.RELEASE): X.RELEASED,
        (X.PENDING, V.PEND): X.PENDING,
        (X.PENDING, V.LOSE_TRACK): X.DOUBT,
        (X.PENDING, V.BOOK): X.OPEN,
        (X.PENDING, V.DECLINE): X.DECLINED,
        (X.PENDING, V.RELEASE): X.RELEASED,
        (X.DOUBT, V.PEND): X.PENDING,
        (X.DOUBT, V.LOSE_TRACK): X.DOUBT,
        (X.DOUBT, V.BOOK): X.OPEN,  # only evidence ends a doubt
        (X.DOUBT, V.DECLINE): X.DECLINED,
        (X.DOUBT, V.RELEASE): X.RELEASED,
        (X.OPEN, V.SETTLE): X.SETTLED,
        (X.OPEN, V.DIFFER): X.DIFFERS,
        (X.OPEN, V.WRITE_OFF): X.WRITTEN_OFF,
        (X.DIFFERS, V.WRITE_OFF): X.WRITTEN_OFF,
    },
)

L, N = LineState, LineEvent
LINE: StateTable[LineState, LineEvent] = StateTable(
    name="statement line",
    initial=L.NEW,
    transitions={
        (L.NEW, N.SETTLE): L.SETTLED,
        (L.NEW, N.DIFFER): L.DIFFERS,
        (L.NEW, N.BOOK): L.BOOKED,
        (L.NEW, N.SUSPEND): L.SUSPENDED,
        (L.NEW, N.PARK): L.PARKED,
        (L.SUSPENDED, N.SETTLE): L.SETTLED,
        (L.SUSPENDED, N.DIFFER): L.DIFFERS,
        (L.SUSPENDED, N.SUSPEND): L.SUSPENDED,
        (L.SUSPENDED, N.PARK): L.PARKED,
    },
)

S, E = ExceptionState, ExceptionEvent
_WORKED_ON = (
    S.OPEN,
    S.ASSIGNED,
    S.AWAITING_PROVIDER,
    S.AWAITING_CUSTOMER,
    S.AWAITING_APPROVAL,
    S.REOPENED,
)
_DECISIONS = {
    E.ASK_PROVIDER: S.AWAITING_PROVIDER,
    E.ASK_CUSTOMER: S.AWAITING_CUSTOMER,
    E.ASK_APPROVAL: S.AWAITING_APPROVAL,
    E.RESOLVE: S.RESOLVED,
    E.LATE_MATCH: S.RESOLVED,
    E.WRITE_OFF: S.WRITTEN_OFF,
    E.REJECT: S.REJECTED,
}
EXCEPTION: StateTable[ExceptionState, ExceptionEvent] = StateTable(
    name="exception",
    initial=S.DETECTED,
    transitions={
        (S.DETECTED, E.WAIT_GRACE): S.PENDING,
        (S.DETECTED, E.OPEN): S.OPEN,
        (S.PENDING, E.OPEN): S.OPEN,
        (S.PENDING, E.LATE_MATCH): S.RESOLVED,
        **{(state, E.CLAIM): S.ASSIGNED for state in _WORKED_ON},
        **{(state, event): target for state in _WORKED_ON for event, target in _DECISIONS.items()},
        (S.RESOLVED, E.COME_BACK): S.REOPENED,
        (S.WRITTEN_OFF, E.COME_BACK): S.REOPENED,
        (S.REJECTED, E.COME_BACK): S.REOPENED,
    },
)

RUN: StateTable[RunState, RunEvent] = StateTable(
    name="run",
    initial=RunState.RUNNING,
    transitions={
        (RunState.RUNNING, RunEvent.FINISH): RunState.COMPLETE,
        (RunState.RUNNING, RunEvent.FALL_SHORT): RunState.INCOMPLETE,
        (RunState.RUNNING, RunEvent.BREAK): RunState.FAILED,
    },
)

CLOSED = (S.RESOLVED, S.WRITTEN_OFF, S.REJECTED)
TABLES: list[StateTable[Any, Any]] = [EXPECTATION, LINE, EXCEPTION, RUN]
