"""How an authentication moves: a pure function of what is stored, what happened and when."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypedDict, Unpack

from cashier_router.domain.authentication import timing
from cashier_router.domain.authentication.attempt import Attempt, Completion, Flow
from cashier_router.domain.authentication.events import (
    Advanced,
    Answered,
    Closed,
    Effect,
    Event,
    MethodFinished,
    NoAnswer,
    RangeFound,
    RangeMissing,
    Returned,
    Started,
    StepFact,
    StillOpen,
    Ticked,
    Told,
    Withdrawn,
)
from cashier_router.domain.authentication.evidence import keep, of_one_challenge
from cashier_router.domain.authentication.liability import Liability, liability
from cashier_router.domain.authentication.lifecycle import (
    AUTHENTICATION,
    AWAITING,
    SHOWN,
    TERMINAL,
    AuthenticationEvent,
    AuthenticationState,
)
from cashier_router.domain.authentication.policy import Treatment
from cashier_router.domain.authentication.result import Result, Status, answer_event, final_event

S, E = AuthenticationState, AuthenticationEvent
_BEGINNINGS: Final = {
    (Treatment.SKIP, Flow.STANDALONE): E.SKIP,
    (Treatment.SKIP, Flow.NATIVE): E.SKIP,
    (Treatment.EXEMPT, Flow.STANDALONE): E.EXEMPT,
    (Treatment.EXEMPT, Flow.NATIVE): E.EXEMPT,
    (Treatment.AUTHENTICATE, Flow.STANDALONE): E.BEGIN,
    (Treatment.AUTHENTICATE, Flow.NATIVE): E.HAND_OVER,
}
_RETRIED: Final = frozenset({S.VERSIONING, S.AREQ})
# A first answer that promises a final result: behind one, it says nothing new.
_PROMISES: Final = frozenset({Status.CHALLENGE, Status.DECOUPLED})


class Changes(TypedDict, total=False):
    """What changes with a state, beside what every change of one touches."""

    protocol: str
    server_transaction: str
    completion: Completion
    acs_transaction: str
    ds_transaction: str
    challenged: bool
    tries: int
    tries_here: int
    deadline: datetime | None
    fetch_at: datetime | None
    result: Result | None
    liability: Liability | None
    exemption_granted: bool | None
    evidence_hash: str


def advance(attempt: Attempt, event: Event, now: datetime) -> Advanced:
    """The attempt after `event` at `now`, what is to be done, and its steps; it refuses nothing.

    What the clock has already ended ends first, so that it does not matter whether a worker's timer
    or the event came earlier. What the table does not allow is kept as evidence, or is nothing.
    """
    timed = _timed(attempt, now)
    moved = _happened(timed.attempt, event, now)
    if moved.attempt is attempt:
        return moved
    owing = owed(moved.attempt) if attempt.is_live else ()
    effects = dict.fromkeys((*owing, *timed.effects, *moved.effects))
    return Advanced(moved.attempt, tuple(effects), (*timed.steps, *moved.steps))


def owed(attempt: Attempt) -> tuple[Effect, ...]:
    """What has to be done about it as it is stored: where a process goes on after a crash."""
    native = attempt.flow is Flow.NATIVE
    match attempt.state:
        case S.VERSIONING:
            return (Effect.PRE_AUTHENTICATE,)
        case S.METHOD:
            return (Effect.SHOW_METHOD,)
        case S.AREQ:
            return (Effect.ASK_PROCESSOR if native else Effect.AUTHENTICATE,)
        case S.CHALLENGE | S.DECOUPLED:
            shown = Effect.SHOW_CHALLENGE if attempt.state is S.CHALLENGE else Effect.WAIT
            return (shown, Effect.FETCH_RESULT) if attempt.fetch_at else (shown,)
        case S.RESOLVING:
            return (Effect.CANCEL_AT_PROCESSOR if native else Effect.FETCH_RESULT,)
        case S.CREATED:
            return ()
    return (Effect.CONCLUDE,)


def _timed(attempt: Attempt, now: datetime) -> Advanced:
    """What the deadline that has passed makes of it; one at the most, as each sets the next."""
    if not attempt.is_live or attempt.deadline is None or now < attempt.deadline:
        return Advanced(attempt)
    native = attempt.flow is Flow.NATIVE
    match attempt.state:
        case S.VERSIONING:
            return _again_or_never(attempt, now, "no answer about the card's range in time")
        case S.AREQ if not native:
            return _again_or_never(attempt, now, "no answer of the issuer in time")
        case S.AREQ:
            return _moved(attempt, E.HOLD, now, "the processor has not answered yet")
        case S.METHOD:
            told = "the issuer's page was not done in time"
            return _moved(attempt, E.TIME_OUT, now, told, completion=Completion.NOT_DONE)
        case S.RESOLVING if native:
            return _moved(attempt, E.HOLD, now, "the processor has not confirmed that it is over")
        case S.RESOLVING:
            return _moved(attempt, E.LAPSE, now, "no result could be fetched in time")
    return _moved(attempt, E.TIME_OUT, now, "the customer's time is up")


def _happened(attempt: Attempt, event: Event, now: datetime) -> Advanced:
    match event:
        case Told():
            return _told(attempt, event.result, now)
        case Answered():
            return _answered(attempt, event.result, now)
        case Returned() if attempt.state in SHOWN and attempt.fetch_at is None:
            fetch_at = timing.next_fetch(attempt, now)
            return _moved(attempt, E.RETURN, now, "the browser is back", fetch_at=fetch_at)
        case Returned() | Ticked():
            return Advanced(attempt)
        case Started():
            if attempt.state is not S.CREATED:
                return Advanced(attempt)
            begun = _BEGINNINGS[attempt.choice.treatment, attempt.flow]
            return _moved(attempt, begun, now, attempt.choice.reason.value)
        case Withdrawn():
            return _withdrawn(attempt, event, now)
    if event.transaction != attempt.transaction or not attempt.is_live:
        return Advanced(attempt)  # about an earlier try
    return _replied(attempt, event, now)


def _replied(
    attempt: Attempt,
    event: RangeFound | RangeMissing | MethodFinished | NoAnswer | StillOpen | Closed,
    now: datetime,
) -> Advanced:
    """What came of a request of ours, or of the issuer's page; out of its state it is nothing."""
    state, native = attempt.state, attempt.flow is Flow.NATIVE
    match event:
        case RangeFound() if state is S.VERSIONING:
            known = E.FIND_METHOD if event.has_method else E.FIND_RANGE
            return _moved(
                attempt, known, now, event.protocol, protocol=event.protocol,
                server_transaction=event.server_transaction,
            )  # fmt: skip
        case RangeMissing() if state is S.VERSIONING:
            return _moved(attempt, E.FIND_NONE, now, "the card's range takes no part")
        case MethodFinished() if state is S.METHOD:
            return _moved(attempt, E.FINISH_METHOD, now, "", completion=Completion.DONE)
        case NoAnswer() if state in _RETRIED and not native:
            return _again_or_never(attempt, now, event.detail)
        case NoAnswer() if state is S.RESOLVING or (state in SHOWN and attempt.fetch_at):
            return _fetched(attempt, now + timedelta(seconds=timing.FETCH_PAUSE_S), None)
        case StillOpen() if state is S.RESOLVING and not native:
            return _moved(attempt, E.LAPSE, now, "the challenge was still open at the end")
        case StillOpen() if state in SHOWN and attempt.fetch_at:
            return _fetched(attempt, None, now)
        case Closed() if native and state in AWAITING:
            return _moved(attempt, E.LAPSE, now, "the processor confirmed that it is over")
    return Advanced(attempt)


def _withdrawn(attempt: Attempt, event: Withdrawn, now: datetime) -> Advanced:
    if attempt.flow is Flow.STANDALONE and attempt.is_live:
        return _moved(attempt, E.WITHDRAW, now, event.reason)
    if attempt.state in SHOWN or attempt.state is S.CREATED:
        # The processor may be charging right now: it is canceled there first.
        asked = E.WITHDRAW if attempt.state is S.CREATED else E.TIME_OUT
        return _moved(attempt, asked, now, event.reason)
    return Advanced(attempt)


def _answered(attempt: Attempt, result: Result, now: datetime) -> Advanced:
    """The first answer. Behind a final result one that only promised it says nothing new."""
    if attempt.state is not S.AREQ:
        if result.status in _PROMISES and result.transaction == attempt.transaction:
            return Advanced(attempt)
        return keep(attempt, result, now)
    event = answer_event(result)
    if event is None or result.transaction != attempt.transaction:
        return keep(attempt, result, now)
    decoupled_unasked = event is E.DECOUPLE and not attempt.choice.decoupled_max_minutes
    if attempt.flow is Flow.STANDALONE and (event is E.GIVE_UP or decoupled_unasked):
        detail = f"the issuer answered {result.status} {result.reason}".rstrip()
        return _again_or_never(attempt, now, detail, result)
    if decoupled_unasked:
        event = E.CHALLENGE
    return _applied(attempt, event, result, now)


def _told(attempt: Attempt, result: Result, now: datetime) -> Advanced:
    """A final result: applied once, and kept as evidence wherever it cannot be."""
    event = final_event(result)
    ours = result.transaction == attempt.transaction and of_one_challenge(attempt, result)
    if event is not None and ours and attempt.state in AWAITING:
        return _applied(attempt, event, result, now)
    return keep(attempt, result, now)


def _applied(
    attempt: Attempt, event: AuthenticationEvent, result: Result, now: datetime
) -> Advanced:
    said = f"{result.status} {result.eci} {result.reason} {result.cancel or ''}"
    return _moved(
        attempt, event, now, " ".join(said.split()),
        server_transaction=attempt.server_transaction or result.server_transaction,
        acs_transaction=attempt.acs_transaction or result.acs_transaction,
        ds_transaction=attempt.ds_transaction or result.ds_transaction,
        challenged=attempt.challenged or event in (E.CHALLENGE, E.DECOUPLE),
        result=None if event in (E.CHALLENGE, E.DECOUPLE) else result,
        evidence_hash=attempt.hash_with(result.source.value, result.digest),
    )  # fmt: skip


def _again_or_never(
    attempt: Attempt, now: datetime, detail: str, result: Result | None = None
) -> Advanced:
    """One more try under a new transaction, then the end without an answer."""
    heard = attempt.hash_with("answer", result.digest) if result else attempt.evidence_hash
    if attempt.tries_here < timing.TRIES_MAX:
        tries = attempt.tries + 1
        return _moved(
            attempt, E.RETRY, now, detail, tries=tries, server_transaction="", evidence_hash=heard
        )
    return _moved(attempt, E.GIVE_UP, now, detail, result=result, evidence_hash=heard)


def _moved(
    attempt: Attempt,
    event: AuthenticationEvent,
    now: datetime,
    detail: str,
    **changes: Unpack[Changes],
) -> Advanced:
    """The one place where a state changes: by the table, with its deadline and its step."""
    state = AUTHENTICATION.next(attempt.state, event)
    stays = state is attempt.state and event is E.RETURN
    if not stays:
        changes["deadline"] = timing.deadline(attempt, state, now)
        changes["fetch_at"] = now if state is S.RESOLVING else None
        changes["tries_here"] = attempt.tries_here + 1 if event is E.RETRY else 1
    if state in TERMINAL:
        changes.update(_owned(attempt, state, changes.get("result")))
    after = replace(
        attempt, state=state, version=attempt.version + 1, update_time=now, detail=detail, **changes
    )
    return Advanced(
        after, (), (StepFact(event.name, attempt.state, state, detail, after.record()),)
    )


def _owned(attempt: Attempt, state: AuthenticationState, result: Result | None) -> Changes:
    """Whose fraud it would be at this end, and whether the exemption that was asked for held."""
    granted = result is not None and result.exemption_granted
    told = granted or (attempt.choice.exemption is not None and result is not None)
    owner = liability(
        attempt.network, result, exempted=granted or state is S.EXEMPT, excepted=attempt.excepted
    )
    return {"liability": owner, "exemption_granted": granted if told else None}


def _fetched(attempt: Attempt, next_at: datetime | None, at: datetime | None) -> Advanced:
    """Only when it is fetched has changed: stored, and no step of anybody's."""
    if (next_at, at or attempt.fetched_at) == (attempt.fetch_at, attempt.fetched_at):
        return Advanced(attempt)
    planned = replace(attempt, fetch_at=next_at, fetched_at=at or attempt.fetched_at)
    return Advanced(replace(planned, version=attempt.version + 1))
