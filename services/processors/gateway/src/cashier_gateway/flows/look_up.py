"""Find out what became of an operation, and first close its door where that is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from cashier_common.clock import Clock
from cashier_common.errors import FieldInvalid, OperationReused
from cashier_common.money import Money
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.errors import OperationKnown
from cashier_gateway.domain.lifecycle import CALL, CERTAIN, FENCEABLE, Event, State
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import LOOK_UP, Book, Move, Origin, Terminal
from cashier_gateway.flows.send import record

# Two look-ups may both find no row to lock; the second one finds the first one's tombstone.
FENCE_TRIES = 2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """A `LookUp` as it was parsed."""

    merchant: str
    operation: str
    account: str
    amount: Money
    close_door: bool


@dataclass(frozen=True, slots=True)
class LookUp:
    """The flow with its ports."""

    book: Book
    terminals: Mapping[str, Terminal]
    clock: Clock

    async def __call__(self, question: Question, origin: Origin) -> Call | None:
        """The call as it stands now; None when this rail has not seen it and was not to fence it.

        A crash after the tombstone leaves the operation fenced and IN_DOUBT: ask again. A query
        that fails changes nothing.
        """
        terminal = self.terminals.get(question.account)
        if terminal is None:
            raise FieldInvalid(
                "processor_account", question.account, "an account that ListCapabilities names"
            )
        if question.close_door:
            call = await self._fence(question, origin)
        else:
            found = await self.book.find(merchant=question.merchant, operation=question.operation)
            if found is None:
                return None
            _same(found, question)
            call = found
            if found.state is State.SUBMITTING:
                taken = await self.book.take_over(found) if found.lapsed else None
                if taken is None:  # it is being sent: whoever does that will tell
                    return found
                call = taken
        if call.state in CERTAIN:
            return call
        answer = await self._ask(call, terminal, close_door=question.close_door)
        return await self._apply(call, answer, terminal, origin)

    async def _fence(self, question: Question, origin: Origin) -> Call:
        """The call after nobody of ours can send it any more."""
        for _ in range(FENCE_TRIES):
            try:
                return await self._fence_once(question, origin)
            except OperationKnown:
                continue
        raise RuntimeError(f"the row of {question.operation} comes and goes")

    async def _fence_once(self, question: Question, origin: Origin) -> Call:
        merchant, operation = question.merchant, question.operation
        async with self.book.begin() as tx:
            found = await self.book.lock(tx, merchant=merchant, operation=operation)
            if found is None:
                call = Call.tombstone(
                    merchant=merchant, operation=operation, account=question.account,
                    amount=question.amount, traceparent=origin.traceparent, at=self.clock.now(),
                )  # fmt: skip
                self.book.add(tx, call, origin)
                return call
            _same(found, question)
            if found.fenced or found.state not in FENCEABLE:
                return found
            fenced = found.fenced_off()
            self.book.advance(tx, Move(found, fenced, Event.FENCE, "FENCE"), origin)
            return fenced

    async def _ask(self, call: Call, terminal: Terminal, *, close_door: bool) -> Answer:
        # A customer may still finish what is PENDING or ACTION_REQUIRED: it was received, so no
        # door of ours is open, and asking is enough.
        closing = close_door and call.fenced
        ask = terminal.processor.close_door if closing else terminal.processor.look_up
        try:
            return await ask(call)
        except Exception:  # noqa: BLE001 - it is logged, and a failed query changes nothing
            _log.exception("adapter_failed", operation=call.operation, account=call.account)
            return Answer(Event.LOSE_TRACK, "our adapter failed")

    async def _apply(self, call: Call, answer: Answer, terminal: Terminal, origin: Origin) -> Call:
        if not CALL.accepts(call.state, answer.event):
            if answer.event is not Event.LOSE_TRACK:
                _log.info(
                    "evidence_not_applied", operation=call.operation, state=call.state,
                    seen=answer.event, reference=answer.reference,
                )  # fmt: skip
            return call if answer.event is not Event.LOSE_TRACK else _still(call, answer)
        return await record(
            call, answer, terminal.account, origin, source=LOOK_UP, book=self.book,
            clock=self.clock,
        )  # fmt: skip


def _same(found: Call, question: Question) -> None:
    if (found.account, found.amount) != (question.account, question.amount):
        raise OperationReused(operation=question.operation)


def _still(call: Call, answer: Answer) -> Call:
    """The same call; only the sentence in the answer says what was tried."""
    if call.outcome is None or call.state is not State.IN_DOUBT:
        return call
    return replace(call, outcome=replace(call.outcome, detail=answer.detail))
