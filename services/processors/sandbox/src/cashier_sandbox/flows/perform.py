"""Do what a request asks at most once per idempotency key, breaking where the script says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cashier_sandbox.domain.book import SpentKey
from cashier_sandbox.domain.chance import draw_ppm
from cashier_sandbox.domain.conditions import Ask
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.domain.script import OK, Behaviour, Fault, behaviour_of
from cashier_sandbox.flows.desk import Desk, InFlight
from cashier_sandbox.flows.refusals import Code, ConnectionCut, Refused
from cashier_sandbox.flows.resolve import schedule_due

# How long a second request with a key waits for the first: longer than any caller's own patience.
IN_PROGRESS_WAIT_S = 30.0

_BROKEN: dict[str, Behaviour] = {
    "500_before": Behaviour(before=Fault.INTERNAL),
    "500_after": Behaviour(after=Fault.INTERNAL),
    "lost_answer": Behaviour(after=Fault.CUT),
    "unavailable": Behaviour(before=Fault.UNAVAILABLE),
}
BROWNOUT_KINDS = tuple(_BROKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request under an idempotency key; the fingerprint covers path and parsed body.

    `patience_s` is how long it waits for an earlier request with its key that is still at work.
    `late` writes down a refusal by state where the API has said "received" and tells it later;
    `note` is what the API wants to find again in the entry's detail.
    """

    key: str
    fingerprint: str
    ask: Ask
    patience_s: float = IN_PROGRESS_WAIT_S
    late: Callable[[Order, Refused], Draft] | None = None
    note: Mapping[str, str] = field(default_factory=dict)


# What a key keeps where failures are kept: the work had begun, so it is not for the same key again.
_KEPT = {Code.INTERNAL_ERROR, Code.STATE_REFUSED}


@dataclass(frozen=True, slots=True)
class Done:
    """What was done under a key, now or earlier."""

    spent: SpentKey
    replayed: bool


async def perform(desk: Desk, order: Order, effect: Callable[[Behaviour], Draft]) -> Done:
    """Return what the key did; `effect` is called at most once and must not wait.

    Raises Refused, or ConnectionCut where the caller shall get no answer. A crash before the
    ledger line leaves nothing; after it, a repeat gets the answer.
    """
    if earlier := await _earlier(desk, order):
        if earlier.fault:
            raise _refusal(earlier.fault, replayed=True)
        return Done(earlier, replayed=True)
    mine = desk.in_flight[order.key] = InFlight(order.fingerprint)
    try:
        behaviour = await _break_before(desk, order)
        _refuse_closed(desk, order.key)
        desk.ledger.record(_marked(desk, order, behaviour, _draft(order, behaviour, effect)))
        desk.tries.pop(order.key, None)
    except Refused as refused:
        if desk.keeps_failures and refused.code in _KEPT:
            _keep(desk, order, refused)
        raise
    finally:
        del desk.in_flight[order.key]
        mine.done.set()
    spent = desk.book.spent[order.key]
    if behaviour.resolves_ms is not None and spent.resource.id in desk.book.due:
        schedule_due(desk, spent.resource.id)
    await _break_after(behaviour)
    return Done(spent, replayed=False)


async def _earlier(desk: Desk, order: Order) -> SpentKey | None:
    spent = _spent(desk, order)
    if spent or order.key not in desk.in_flight:
        return spent
    try:
        async with asyncio.timeout(order.patience_s):
            while first := desk.in_flight.get(order.key):
                if first.fingerprint != order.fingerprint:
                    raise _mismatch(order.key)
                await first.done.wait()
    except TimeoutError:
        raise _in_progress(order.key) from None
    return _spent(desk, order)


def _spent(desk: Desk, order: Order) -> SpentKey | None:
    spent = desk.book.spent.get(order.key)
    if spent is None:
        _refuse_closed(desk, order.key)
        _repeat_failure(desk, order)
    elif spent.fingerprint != order.fingerprint:
        raise _mismatch(order.key)
    return spent


def _refuse_closed(desk: Desk, key: str) -> None:
    if key in desk.book.closed:
        raise Refused(
            Code.KEY_CLOSED,
            f"the door for key {key} was closed: nothing was done under it and nothing will be",
        )


def _repeat_failure(desk: Desk, order: Order) -> None:
    failed = desk.book.failed.get(order.key)
    if failed is None:
        return
    if failed["fingerprint"] != order.fingerprint:
        raise _mismatch(order.key)
    raise Refused(
        Code(failed["code"]), failed["message"], failed["where"], failed["more"], replayed=True
    )


def _keep(desk: Desk, order: Order, refused: Refused) -> None:
    detail = {
        "fingerprint": order.fingerprint,
        "code": refused.code,
        "message": refused.message,
        "where": refused.where,
        "more": refused.more,
    }
    desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=Kind.KEY_FAILED,
            id=order.key,
            key=order.key,
            detail=detail,
        )
    )


def _draft(order: Order, behaviour: Behaviour, effect: Callable[[Behaviour], Draft]) -> Draft:
    try:
        return effect(behaviour)
    except Refused as refused:
        if order.late is None or refused.code is not Code.STATE_REFUSED:
            raise
        return order.late(order, refused)


def _marked(desk: Desk, order: Order, behaviour: Behaviour, draft: Draft) -> Draft:
    mark: dict[str, str] = dict(order.note)
    if desk.keeps_failures and behaviour.after is Fault.INTERNAL:
        mark["fault"] = behaviour.after
    return replace(draft, detail={**draft.detail, **mark}) if mark else draft


def _in_progress(key: str) -> Refused:
    return Refused(
        Code.KEY_IN_PROGRESS, f"the first request with key {key} is still at work; ask again later"
    )


def _mismatch(key: str) -> Refused:
    return Refused(
        Code.IDEMPOTENCY_MISMATCH,
        f"key {key} belongs to a request with another path or body; use a new key",
        "Idempotency-Key",
    )


async def _break_before(desk: Desk, order: Order) -> Behaviour:
    number = desk.next_try(order.key)
    behaviour = _behaviour(desk, order, number)
    latency = desk.conditions.latency
    delay_s = behaviour.held_ms / 1000
    delay_s += latency.of(draw_ppm(desk.seed, desk.account.name, "latency", order.key, number))
    if delay_s:
        await asyncio.sleep(delay_s)
    limit = behaviour.before_times
    if behaviour.before and (limit is None or number <= limit):
        raise _refusal(behaviour.before)
    return behaviour


async def _break_after(behaviour: Behaviour) -> None:
    if behaviour.slow_ms:
        await asyncio.sleep(behaviour.slow_ms / 1000)
    if behaviour.after is Fault.CUT:
        raise ConnectionCut
    if behaviour.after:
        raise _refusal(behaviour.after)


def _behaviour(desk: Desk, order: Order, number: int) -> Behaviour:
    ask, seed, name = order.ask, desk.seed, desk.account.name
    behaviour = (behaviour_of(ask.token, ask.amount) if ask.token else None) or OK
    for place, rule in enumerate(desk.conditions.rules):
        if rule.matches(ask, draw_ppm(seed, name, "rule", place, order.key, number)):
            if rule.times is not None:
                rule.times -= 1
            behaviour = rule.behaviour
            break
    if brownout := desk.conditions.brownout:
        chance = draw_ppm(seed, name, "brownout", order.key, number)
        if chance < brownout.probability_ppm:
            kind = draw_ppm(seed, name, "kind", order.key, number) % len(brownout.kinds)
            broken = _BROKEN[brownout.kinds[kind]]
            behaviour = replace(behaviour, before=broken.before, after=broken.after)
    return behaviour


_FAULTS: dict[Fault, tuple[Code, str]] = {
    Fault.INTERNAL: (
        Code.INTERNAL_ERROR,
        "something broke; it may or may not have happened: look it up",
    ),
    Fault.RATE_LIMITED: (
        Code.RATE_LIMITED,
        "too many requests; nothing was done, try again after a second",
    ),
    Fault.UNAVAILABLE: (
        Code.SERVICE_UNAVAILABLE,
        "the processor is not available; nothing was done",
    ),
}


def _refusal(fault: Fault, *, replayed: bool = False) -> Refused:
    # A new one each time: a raised exception keeps its traceback.
    code, message = _FAULTS[fault]
    return Refused(code, message, replayed=replayed)
