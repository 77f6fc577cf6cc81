"""Apply what a processor told by itself to the call that it is about, once, in whatever order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import structlog

from cashier_common.clock import Clock
from cashier_common.db.transaction import UnitOfWork
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import CALL, Event, State
from cashier_gateway.domain.notice import DisputeStage, DisputeState, Notice
from cashier_gateway.domain.outcome import Outcome, Settlement
from cashier_gateway.flows.advance import advance
from cashier_gateway.flows.notice_ports import Letter, Letters, Note, NoteKind, Seen
from cashier_gateway.flows.ports import WEBHOOK, Book, Move, Origin, Terminal

ACTOR: Final = "gateway/inbox"
FILE: Final = "FILE"
# A file tells these of a dispute; what else it leaves out was not taken back by its silence.
_FILED_FACTS: Final = ("stage", "state", "amount", "funds_withdrawn")
# Ended without money: a success that is told of one of these is money that nobody expects.
_ENDED: Final = frozenset(
    {State.DECLINED_HARD, State.DECLINED_SOFT, State.NOT_SENT, State.EXPIRED, State.NOT_FOUND}
)
_DECLINES: Final = frozenset({Event.DECLINE_HARD, Event.DECLINE_SOFT, Event.CLOSE})
_UNRESOLVED: Final = frozenset({State.SUBMITTING, State.IN_DOUBT})
_STAGES: Final = tuple(DisputeStage)
_DISPUTE_STATES: Final = tuple(DisputeState)

_log = structlog.get_logger(__name__)


class Taken(StrEnum):
    """What became of a notice."""

    APPLIED = "APPLIED"
    TOLD = "TOLD"  # noted, and told by StreamOutcomes; the call stands as it stood
    KNOWN = "KNOWN"  # it says what we know
    NOTHING = "NOTHING"  # of a kind that changes no call
    UNMATCHED = "UNMATCHED"  # about no call of this account
    OTHER_ACCOUNT = "OTHER_ACCOUNT"
    MISMATCHED = "MISMATCHED"  # other amount or reference, on a call that is past CONFLICTED
    STALE = "STALE"  # the call is past it
    EARLY = "EARLY"  # the call's owner has not written its answer yet: take it again later


@dataclass(frozen=True, slots=True)
class TakeNotice:
    """The flow with its ports. It runs in the caller's unit, beside the letter's own settlement."""

    letters: Letters
    book: Book
    terminals: Mapping[str, Terminal]
    clock: Clock

    async def __call__(self, tx: UnitOfWork, letter: Letter) -> Taken:
        """What became of it; LeaseLost at the end of the unit when the call moved meanwhile."""
        notice = letter.notice
        if notice.elsewhere:
            return Taken.OTHER_ACCOUNT
        if notice.event is None and notice.dispute is None:
            return Taken.NOTHING
        seen = await self.letters.about(tx, letter.account, notice)
        here = [one for one in seen if one.account == letter.account]
        target, takes_back = _fitting(here, notice.kinds), False
        if target is None and (notice.dispute or notice.takes_from) and notice.references:
            acting = await self.letters.acting_on(tx, letter.account, notice.references)
            if notice.takes_from and _is_unresolved(acting, notice.kinds):
                return Taken.EARLY  # it may be our own, whose reference is not written yet
            target = _fitting([*here, *acting], notice.takes_from or notice.kinds)
            takes_back = bool(notice.takes_from)
        if target is None and notice.dispute is not None:
            told_before = await self.letters.disputed(tx, letter.account, notice.dispute.reference)
            target = next(iter(told_before), None)
        if target is None:
            return Taken.OTHER_ACCOUNT if seen and not here else Taken.UNMATCHED
        call = await self.book.lock(tx, merchant=target.merchant, operation=target.operation)
        if call is None or call.state is State.SUBMITTING:
            return Taken.EARLY
        if notice.dispute is not None:
            return await self._dispute(tx, call, notice)
        if takes_back:
            return await self._reverse(tx, call, notice)
        return await self._apply(tx, call, notice)

    async def _apply(self, tx: UnitOfWork, call: Call, notice: Notice) -> Taken:
        event = _event_for(call, notice)
        if event is None:
            return Taken.STALE
        if CALL.accepts(call.state, event):
            outcome = self._outcome(call, notice, settles=event is Event.SUCCEED)
            after = call.advanced(event, outcome, _reference(call, notice))
            await advance(tx, Move(call, after, event, WEBHOOK), _origin(call), self.book)
            if event in _DECLINES and notice.reversal_reference:
                self.letters.remember(tx, call, _taken_back(notice))
            return Taken.APPLIED
        if event is Event.CONFLICT:
            _log.error(
                "notice_mismatched", operation=call.operation, account=call.account,
                state=call.state, event_id=notice.event_id,
            )  # fmt: skip
            return Taken.MISMATCHED
        if event is Event.SUCCEED and call.state in _ENDED:
            failed = Note(NoteKind.REVERSED, notice.reference, {}, None)
            if await self.letters.find_note(tx, call, failed) is not None:
                return Taken.STALE  # it came before the failure that we were told of first
            note = Note(NoteKind.SUCCEEDED, notice.reference, {}, notice.occurred_at)
            return await self._note(tx, call, notice, note, {})
        if event in _DECLINES and call.state is State.SUCCEEDED and notice.reversal_reference:
            return await self._reverse(tx, call, notice)
        return (
            Taken.KNOWN if event is Event.SUCCEED and call.state is State.SUCCEEDED else Taken.STALE
        )

    async def _reverse(self, tx: UnitOfWork, call: Call, notice: Notice) -> Taken:
        if call.state is not State.SUCCEEDED:  # nothing that could be taken back, as far as we know
            return Taken.EARLY if call.state in {State.PENDING, State.IN_DOUBT} else Taken.STALE
        extra = {"reversal_reference": notice.reversal_reference}
        return await self._note(tx, call, notice, _taken_back(notice), extra)

    async def _dispute(self, tx: UnitOfWork, call: Call, notice: Notice) -> Taken:
        news = notice.dispute
        if news is None:
            raise RuntimeError("a notice without a dispute cannot be told as one")
        told: dict[str, Any] = {"dispute": news.to_json()}
        if notice.occurred_at is not None:
            told["occurred_at"] = notice.occurred_at.isoformat()
        note = Note(NoteKind.DISPUTED, news.reference, news.to_json(), notice.occurred_at)
        return await self._note(tx, call, notice, note, told)

    async def _note(
        self, tx: UnitOfWork, call: Call, notice: Notice, note: Note, extra: dict[str, Any]
    ) -> Taken:
        known = await self.letters.find_note(tx, call, note)
        if known is not None and _says_the_same(note, known, is_filed=notice.is_filed):
            return Taken.KNOWN
        if known is not None and _is_older(note, known):
            if note.kind is not NoteKind.DISPUTED:
                return Taken.STALE
            note = known  # whoever listens puts news of a dispute in order; we keep the newest
        outcome = self._outcome(call, notice, settles=note.kind is NoteKind.SUCCEEDED)
        payload = {
            "source": FILE if notice.is_filed else WEBHOOK,
            "account": call.account,
            "amount": [call.amount.minor, call.amount.asset],
            "reference": call.reference or notice.reference,
            "told": note.kind.value,
            "outcome": outcome.to_json(secrets=False),
            **extra,
        }
        self.letters.add_note(tx, call, note, payload, _origin(call))
        _log.warning(
            "told_beside_the_outcome", operation=call.operation, account=call.account,
            state=call.state, told=note.kind.value, reference=note.reference,
        )  # fmt: skip
        return Taken.TOLD

    def _outcome(self, call: Call, notice: Notice, *, settles: bool) -> Outcome:
        now = self.clock.now()
        return Outcome(
            detail=notice.detail,
            observed_at=now,
            amount=notice.amount or (call.amount if settles else None),
            decline=notice.decline,
            settlement=self._settlement(call, now) if settles else None,
        )

    def _settlement(self, call: Call, now: datetime) -> Settlement | None:
        if call.request is None or not call.moves_money:
            return None
        account = self.terminals[call.account].account
        return account.settlement(call.request.kind, call.amount, now)


def _fitting(seen: list[Seen], kinds: tuple[Kind, ...]) -> Seen | None:
    """The call that a notice about these kinds is about; a tombstone may be of any kind."""
    for kind in kinds:
        for one in seen:
            if one.kind is kind and (Kind.CAPTURE not in kinds or one.carries):
                return one
    return next((one for one in seen if one.kind is None), None)


def _is_unresolved(seen: list[Seen], kinds: tuple[Kind, ...]) -> bool:
    return any(one.kind in kinds and one.state in _UNRESOLVED for one in seen)


def _event_for(call: Call, notice: Notice) -> Event | None:
    """The notice's event; CONFLICT when it is about another amount or reference than ours."""
    event = notice.event
    if event is Event.CLOSE:
        # What is canceled there was ours for certain only where our row names it.
        return event if call.reference and call.reference in notice.references else None
    if notice.amount is not None and notice.amount != call.amount and event is not None:
        return Event.CONFLICT
    if call.reference and notice.references and call.reference not in notice.references:
        return Event.CONFLICT
    return event


def _reference(call: Call, notice: Notice) -> str:
    """What the row does not know yet: of the thing itself, or of the authorization behind it."""
    request = call.request
    if call.reference:
        return ""
    if request and request.kind is Kind.AUTHORIZE and notice.kinds[0] is not Kind.AUTHORIZE:
        return notice.references[1] if len(notice.references) > 1 else ""
    return notice.reference


def _taken_back(notice: Notice) -> Note:
    return Note(NoteKind.REVERSED, notice.reversal_reference, {}, notice.occurred_at)


def _says_the_same(note: Note, known: Note, *, is_filed: bool) -> bool:
    if is_filed and note.kind is NoteKind.DISPUTED:
        return all(note.facts.get(name) == known.facts.get(name) for name in _FILED_FACTS)
    return note.facts == known.facts


def _is_older(note: Note, known: Note) -> bool:
    """Whether we know something newer; within one moment, whatever is further on is newer."""
    if note.occurred_at is None or known.occurred_at is None:
        return False
    if note.occurred_at != known.occurred_at:  # processors tell whole seconds
        return note.occurred_at < known.occurred_at
    return _progress(note) < _progress(known)


def _progress(note: Note) -> tuple[int, int, int, bool]:
    stage, state = note.facts.get("stage"), note.facts.get("state")
    return (
        note.facts.get("moves", 0),
        _STAGES.index(stage) if stage in _STAGES else 0,
        _DISPUTE_STATES.index(state) if state in _DISPUTE_STATES else 0,
        bool(note.facts.get("funds_withdrawn")),
    )


def _origin(call: Call) -> Origin:
    return Origin(ACTOR, call.traceparent)
