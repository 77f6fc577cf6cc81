"""Where a deposit stands, as a literal: nothing is credited that did not pass through FINAL."""

from enum import StrEnum
from typing import Any

from cashier_common.statetable import StateTable


class State(StrEnum):
    """The states of `cashier.crypto.v1.Transfer` that a deposit has."""

    AWAITED = "AWAITED"
    SEEN = "SEEN"
    CONFIRMING = "CONFIRMING"
    FINAL = "FINAL"
    CREDITED = "CREDITED"
    ORPHANED = "ORPHANED"
    EXPIRED = "EXPIRED"


class Event(StrEnum):
    """What happens to a deposit."""

    SEE = "SEE"
    CONFIRM = "CONFIRM"
    ORPHAN = "ORPHAN"
    FINALIZE = "FINALIZE"
    CREDIT = "CREDIT"
    CONTRADICT = "CONTRADICT"
    RETIRE = "RETIRE"
    EXPIRE = "EXPIRE"


S, E = State, Event
TRANSFER = StateTable(
    name="deposit",
    initial=S.AWAITED,
    transitions={
        (S.AWAITED, E.SEE): S.SEEN,
        (S.AWAITED, E.RETIRE): S.EXPIRED,  # the router asked to close the door
        (S.AWAITED, E.EXPIRE): S.EXPIRED,  # by the chain's clock, in blocks that are final
        (S.SEEN, E.CONFIRM): S.CONFIRMING,
        (S.SEEN, E.ORPHAN): S.ORPHANED,
        (S.CONFIRMING, E.ORPHAN): S.ORPHANED,
        (S.CONFIRMING, E.FINALIZE): S.FINAL,  # deep enough, and every endpoint agrees
        (S.ORPHANED, E.SEE): S.SEEN,  # mined again, or paid again
        (S.ORPHANED, E.EXPIRE): S.EXPIRED,
        (S.FINAL, E.CREDIT): S.CREDITED,
        (S.FINAL, E.CONTRADICT): S.FINAL,  # another amount: told as such, never credited
    },
)
OPEN = frozenset({S.AWAITED, S.ORPHANED})
"""An address in one of these takes the next transfer that pays it."""
TABLES: tuple[StateTable[Any, Any], ...] = (TRANSFER,)
