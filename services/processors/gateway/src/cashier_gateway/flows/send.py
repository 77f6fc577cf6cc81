"""Carry one call, whose row and lease we hold, to its processor and write down the answer."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from cashier_common.clock import Clock
from cashier_common.db.failures import CommitUnknown
from cashier_common.errors import RaceLost, StoreUnavailable
from cashier_common.failpoints import hit
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.errors import LeaseLost
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.domain.outcome import Answer, Outcome
from cashier_gateway.flows.advance import advance
from cashier_gateway.flows.ports import Book, Move, Origin, Terminal

# An outcome that we know is worth some patience with a database that is away; together with
# TIMEOUT_MAX_S below the lease, after which the resume worker asks the processor again.
RECORD_PAUSES_S: Final = (0.2, 1.0, 3.0)

_log = structlog.get_logger(__name__)


async def send(
    call: Call,
    terminal: Terminal,
    origin: Origin,
    *,
    source: Callable[[], str],
    book: Book,
    clock: Clock,
) -> Call:
    """Send the call and record the outcome; the row as it stands when it is not ours any more.

    A crash leaves SUBMITTING with a lease that lapses. Never raises "nothing happened".
    """
    if call.expire_at is not None and call.expire_at <= clock.now() and not call.reference:
        detail = "the operation expired before it was sent"
        answer = Answer(Event.FAIL_UNSENT, detail, of_request=True)
    else:
        try:
            answer = await _ask(call, terminal, book)
        except LeaseLost:
            return await stand(call, book)
    if answer.of_request and call.lease_epoch > 1:
        # An earlier owner may have sent it: that this request failed proves nothing about his.
        answer = Answer(Event.LOSE_TRACK, answer.detail)
    await hit("gateway.before_record")
    return await record(
        call, answer, terminal.account, origin, source=source(), book=book, clock=clock
    )


async def record(
    call: Call,
    answer: Answer,
    account: ProcessorAccount,
    origin: Origin,
    *,
    source: str,
    book: Book,
    clock: Clock,
) -> Call:
    """Write what was seen, guarded by lease, version and fence; the row as it stands otherwise.

    While the database stays away, the call as it was: SUBMITTING is nobody's success.
    """
    after = call.advanced(answer.event, _outcome(call, answer, account, clock), answer.reference)
    move = Move(call, after, answer.event, source)
    for pause_s in (*RECORD_PAUSES_S, 0.0):
        try:
            async with book.begin() as tx:
                await advance(tx, move, origin, book)
        except LeaseLost:
            return await _overtaken(call, answer, book)
        except (StoreUnavailable, CommitUnknown, RaceLost):
            await asyncio.sleep(pause_s)
        else:
            return after
    _log.error(
        "outcome_not_recorded", operation=call.operation, state=after.state,
        reference=answer.reference,
    )  # fmt: skip
    return call


async def stand(call: Call, book: Book) -> Call:
    """The row as it stands now, or `call` while the database is away."""
    try:
        found = await book.find(merchant=call.merchant, operation=call.operation)
    except StoreUnavailable:
        return call
    return found or call


async def _ask(call: Call, terminal: Terminal, book: Book) -> Answer:
    async def keep(reference: str) -> None:
        async with book.begin() as tx:
            book.keep_reference(tx, call, reference)

    with terminal.watch.exchange(call) as exchange:
        if exchange.refusal:  # the breaker, or the limit of the account: not one byte left
            return Answer(Event.FAIL_UNSENT, exchange.refusal, of_request=True)
        await hit("gateway.before_send")
        try:
            answer = await terminal.processor.send(call, keep)
        except LeaseLost:
            raise
        except Exception:  # noqa: BLE001 - it is logged, and what it did is not known
            _log.exception("adapter_failed", operation=call.operation, account=call.account)
            answer = Answer(Event.LOSE_TRACK, "our adapter failed: what it did is not known")
        else:
            exchange.tell(answer)
        await hit("gateway.after_send")
        return answer


async def _overtaken(call: Call, answer: Answer, book: Book) -> Call:
    """Somebody fenced the call, took it over, or we wrote it ourselves and missed the answer."""
    found = await stand(call, book)
    if found.state is State.SUBMITTING or found.fenced:
        _log.warning(
            "stalled_owner_wrote_nothing", operation=call.operation, seen=answer.event,
            reference=answer.reference,
        )  # fmt: skip
    return found


def _outcome(call: Call, answer: Answer, account: ProcessorAccount, clock: Clock) -> Outcome:
    now, request = clock.now(), call.request
    settlement = None
    if answer.event is Event.SUCCEED and answer.amount and request and call.moves_money:
        settlement = account.settlement(request.kind, answer.amount, now)
    return Outcome(
        detail=answer.detail,
        observed_at=now,
        amount=answer.amount,
        decline=answer.decline,
        action=answer.action,
        settlement=settlement,
        risk_ppm=answer.risk_ppm,
    )
