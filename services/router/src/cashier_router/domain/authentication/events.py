"""What happens to an attempt, and what comes of it: no event but a server's carries a result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from cashier_router.domain.authentication.attempt import Attempt
from cashier_router.domain.authentication.lifecycle import AuthenticationState
from cashier_router.domain.authentication.result import Result


@dataclass(frozen=True, slots=True)
class Started:
    """The policy's choice is to be carried out."""


@dataclass(frozen=True, slots=True)
class RangeFound:
    """The card's range takes part. `transaction` is the try that asked, here and below."""

    transaction: str
    protocol: str
    has_method: bool
    server_transaction: str = ""


@dataclass(frozen=True, slots=True)
class RangeMissing:
    """The card's range takes no part in 3-D Secure."""

    transaction: str


@dataclass(frozen=True, slots=True)
class MethodFinished:
    """The issuer's page told that it has looked at the browser."""

    transaction: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The issuer's first answer (ARes), or the processor's where it asks by itself."""

    result: Result


@dataclass(frozen=True, slots=True)
class Told:
    """A final result of a server's: RReq, fetched, or by the processor's webhook."""

    result: Result


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A request of ours came to nothing: an error message, or nobody there."""

    transaction: str
    detail: str


@dataclass(frozen=True, slots=True)
class StillOpen:
    """The result was fetched and there is none yet."""

    transaction: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The processor confirmed that its own attempt can no longer succeed."""

    transaction: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The browser came back (CRes or return URL). What it says about itself is not even read."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The payment was canceled."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """A worker's clock: whatever is due by now happens."""


Event: TypeAlias = (
    Started
    | RangeFound
    | RangeMissing
    | MethodFinished
    | Answered
    | Told
    | NoAnswer
    | StillOpen
    | Closed
    | Returned
    | Withdrawn
    | Ticked
)


class Effect(StrEnum):
    """What the caller must do once the attempt is stored; repeating one does no harm."""

    PRE_AUTHENTICATE = "pre_authenticate"  # ask for the range, under `transaction`
    SHOW_METHOD = "show_method"
    AUTHENTICATE = "authenticate"  # send the AReq, under `transaction`
    ASK_PROCESSOR = "ask_processor"  # what became of its authorization
    SHOW_CHALLENGE = "show_challenge"
    WAIT = "wait"
    FETCH_RESULT = "fetch_result"
    CANCEL_AT_PROCESSOR = "cancel_at_processor"  # its word, not ours, says that it is over
    CONCLUDE = "conclude"  # see `consequence`
    ALERT = "alert"  # the step's detail says what
    OPEN_CASE = "open_case"


@dataclass(frozen=True, slots=True)
class StepFact:
    """One row of the append-only record."""

    action: str
    before: AuthenticationState
    after: AuthenticationState
    detail: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Advanced:
    """The attempt after an event; nothing changed where it is the very same value."""

    attempt: Attempt
    effects: tuple[Effect, ...] = ()
    steps: tuple[StepFact, ...] = ()
