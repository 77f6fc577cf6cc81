"""The gateway's port `Processor`, spoken to a simulated processor over a network that fails."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from cashier_common.money import Money
from cashier_gateway.domain.account import Capabilities, FeeSchedule, ProcessorAccount
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.domain.notice import Notice
from cashier_gateway.domain.outcome import Action, Answer, Decline
from cashier_gateway.flows.ports import Keep
from tests.simulation.database import EPOCH
from tests.simulation.faults import Faults
from tests.simulation.loop import VirtualLoop
from tests.simulation.processor import Asked, Door, Processor, Status, Thing, Told

EXCHANGE_S = 10.0
# How long an order may be on its way, and what a gateway's clock may be wrong by.
ORDER_LIFE_S, EXPIRY_MARGIN_S = 20.0, 5.0
_EVENTS = {
    Status.SUCCEEDED: Event.SUCCEED,
    Status.SOFT: Event.DECLINE_SOFT,
    Status.HARD: Event.DECLINE_HARD,
    Status.PENDING: Event.PEND,
    Status.ACTION: Event.REQUIRE_ACTION,
    Status.CANCELED: Event.CLOSE,
    Status.BARE: Event.LOSE_TRACK,
}
_ACKNOWLEDGED = frozenset({State.PENDING, State.ACTION_REQUIRED})
_UNKNOWN = Answer(Event.LOSE_TRACK, "no answer came")


class Unsent(Exception):
    """The connection was refused: not one byte left."""


class NoAnswer(Exception):
    """A time-out, a reset or a 5xx: nobody knows."""


class Adapter:
    """One account; how it sends, asks and closes depends on the processor's kind of door."""

    def __init__(self, processor: Processor, loop: VirtualLoop, faults: Faults) -> None:
        self._processor = processor
        self._loop = loop
        self._faults = faults
        self.away_until = 0.0

    async def send(self, call: Call, keep: Keep) -> Answer:
        try:
            if self._confirms(call):
                return await self._create_keep_confirm(call, keep)
            return _answer(call, await self._exchange(_asked(call, "do")))
        except Unsent:
            return Answer(Event.FAIL_UNSENT, "connection refused", of_request=True)
        except NoAnswer:
            return _UNKNOWN

    async def look_up(self, call: Call) -> Answer:
        try:
            if self._confirms(call):
                if not call.reference:
                    return Answer(Event.LOSE_TRACK, "no intent was recorded: close the door")
                return _answer(call, await self._exchange(_asked(call, "get")))
            if self._repeats:
                return await self._repeat(call)
            return _answer(call, await self._exchange(_asked(call, "find")))
        except (Unsent, NoAnswer):
            return _UNKNOWN

    async def close_door(self, call: Call) -> Answer:
        try:
            if call.request is None and self._processor.door is not Door.KEYED:
                return Answer(Event.CLOSE, "this rail never sent it, and never will")
            if self._confirms(call):
                return await self._cancel(call)
            if self._repeats:
                return await self._repeat(call)
            verb = "close" if self._processor.door is Door.KEYED else "find"
            told = await self._exchange(_asked(call, verb))
        except (Unsent, NoAnswer):
            return _UNKNOWN
        if told.word == "unknown" and self._loop.time() > _expires_s(call) + EXPIRY_MARGIN_S:
            return Answer(Event.CLOSE, "unknown there, and an order as old as this is refused")
        return _answer(call, told)

    async def close(self) -> None:
        """There is nothing to let go of."""

    def read_notices(self, headers: Mapping[str, str], body: bytes) -> tuple[Notice, ...]:
        """Notices are put into the inbox as they are; the intake has tests of its own."""
        raise NotImplementedError

    @property
    def _repeats(self) -> bool:
        return self._processor.door in (Door.REPEAT, Door.INTENT)

    def _confirms(self, call: Call) -> bool:
        intent = self._processor.door is Door.INTENT
        return intent and (call.request is None or call.request.kind is Kind.AUTHORIZE)

    async def _repeat(self, call: Call) -> Answer:
        """The same request under its key: the first answer again, or it happens now and once."""
        if call.request is None or call.state in _ACKNOWLEDGED:
            return Answer(Event.LOSE_TRACK, "it has it, and tells the end by notice alone")
        return _answer(call, await self._exchange(_asked(call, "do")))

    async def _create_keep_confirm(self, call: Call, keep: Keep) -> Answer:
        reference = call.reference
        if not reference:
            created = await self._exchange(_asked(call, "create"))
            reference = created.thing.reference if created.thing else ""
            await keep(reference)
        try:
            confirm = replace(_asked(call, "confirm"), reference=reference)
            return _answer(call, await self._exchange(confirm))
        except (Unsent, NoAnswer) as failure:
            unsent = isinstance(failure, Unsent)
            event = Event.FAIL_UNSENT if unsent else Event.LOSE_TRACK
            return Answer(event, "not confirmed", reference, of_request=unsent)

    async def _cancel(self, call: Call) -> Answer:
        if not call.reference:
            return Answer(Event.CLOSE, "no intent was recorded, so none was ever confirmed")
        return _answer(call, await self._exchange(_asked(call, "cancel")))

    async def _exchange(self, asked: Asked) -> Told:
        """There and back; a request that is on its way arrives even if its sender dies."""
        loop, faults, rates = self._loop, self._faults, self._faults.rates
        if loop.time() < self.away_until or faults.happens(rates.processor_refuses):
            await asyncio.sleep(0.05)
            raise Unsent
        there, back = faults.trip(), faults.trip()
        fails = faults.happens(rates.processor_fails)
        effect = faults.rng.random() < 0.5
        answer: asyncio.Future[Told] = loop.create_future()

        def arrive() -> None:
            told = _snapshot(self._processor.handle(asked)) if effect or not fails else Told()
            if not back.is_lost:
                loop.outside(back.delay_s, _set, answer, NoAnswer() if fails else told)

        for _ in range(there.copies):
            loop.outside(there.delay_s, arrive)
        try:
            async with asyncio.timeout(EXCHANGE_S):
                return await answer
        except TimeoutError:
            raise NoAnswer from None


def account_of(name: str, *, bps: int) -> ProcessorAccount:
    """An account that can do everything."""
    return ProcessorAccount(
        account_id=name, processor="simulated", base_url="-", credential="-",
        honours_idempotency_keys=True, assets=("USD",), settlement_lag_days=2,
        timeout_s=EXCHANGE_S, fees=FeeSchedule(version="f1", percent_bps=bps),
        capabilities=Capabilities(
            partial_capture=True, multiple_capture=True, refund=True, payout=True
        ),
    )  # fmt: skip


def notice_of(thing: Thing) -> Notice:
    """What the processor tells by itself when something ended."""
    asked = thing.asked
    return Notice(
        event_id=f"{thing.reference}-{thing.status}",
        detail=f"it is {thing.status}",
        operation=asked.operation,
        references=(thing.reference, asked.root) if asked.root else (thing.reference,),
        kinds=(asked.kind,),
        event=_EVENTS[thing.status],
        amount=Money(asked.minor, asked.asset) if thing.status is Status.SUCCEEDED else None,
        decline=_decline(thing.status),
    )


def _asked(call: Call, verb: str) -> Asked:
    request = call.request
    return Asked(
        verb=verb, key=call.downstream_key, operation=call.operation,
        kind=request.kind if request else Kind.AUTHORIZE, minor=call.amount.minor,
        asset=call.amount.asset, capture=bool(request and request.capture),
        root=request.authorization_reference if request else "", reference=call.reference,
        expires_s=_expires_s(call),
    )  # fmt: skip


def _expires_s(call: Call) -> float:
    return (call.created_at - EPOCH).total_seconds() + ORDER_LIFE_S


def _answer(call: Call, told: Told) -> Answer:
    thing = told.thing
    if told.word == "closed":
        return Answer(Event.CLOSE, "the key is closed, and nothing was done under it")
    if thing is None:
        return Answer(Event.LOSE_TRACK, f"the key is {told.word}")
    if thing.shown_minor != call.amount.minor:
        seen = Money(thing.shown_minor, call.amount.asset)
        return Answer(Event.CONFLICT, "another amount", thing.reference, seen)
    event = _EVENTS[thing.status]
    return Answer(
        event, f"it is {thing.status}", thing.reference,
        amount=call.amount if event is Event.SUCCEED else None, decline=_decline(thing.status),
        action=Action(url="https://bank.example/3ds") if event is Event.REQUIRE_ACTION else None,
    )  # fmt: skip


def _decline(status: Status) -> Decline | None:
    if status not in (Status.SOFT, Status.HARD):
        return None
    return Decline(status.value, "", "TRY_AGAIN_LATER", status.value.upper())


def _snapshot(told: Told) -> Told:
    """What the answer says, whatever becomes of the thing while it travels."""
    return Told(replace(told.thing) if told.thing else None, told.word)


def _set(answer: "asyncio.Future[Told]", result: Told | Exception) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
