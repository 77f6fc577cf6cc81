"""Takes the letters of the inbox, each in a unit of its own; what cannot be taken yet waits."""

import asyncio
import contextlib
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from cashier_common.errors import Kind, RaceLost, Refusal
from cashier_common.failpoints import hit
from cashier_gateway.domain.errors import LeaseLost
from cashier_gateway.flows.notice_ports import Due, InboxState, Letters
from cashier_gateway.flows.take_notice import Taken, TakeNotice

PERIOD_S: Final = 0.25
BATCH_MAX: Final = 100
# Each holds a connection while it is taken; the pool is shared with the other workers.
TAKEN_AT_ONCE_MAX: Final = 8
# 1 s, 2 s, 4 s … up to ten minutes: the last of these tries comes about two hours after the first.
# Chance takes up to a quarter of each pause, so that what came together is not taken together.
TRIES_MAX: Final = 20
PAUSE_FIRST: Final = timedelta(seconds=1)
PAUSE_MAX: Final = timedelta(minutes=10)
JITTER: Final = 0.25
_DOUBLINGS_MAX: Final = 16
_NOBODYS: Final = frozenset({Taken.UNMATCHED, Taken.OTHER_ACCOUNT})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Postman:
    """The worker's step; any number of replicas may run, since an open letter is locked."""

    letters: Letters
    take: TakeNotice

    async def step(self) -> int:
        """Take one batch; how many letters were settled for good."""
        due = await self.letters.list_due(BATCH_MAX)
        gate = asyncio.Semaphore(TAKEN_AT_ONCE_MAX)

        async def guarded(one: Due) -> int:
            async with gate:
                return await self._deliver(one)

        return sum(await asyncio.gather(*(guarded(one) for one in due)))

    async def take_now(self, due: Due) -> None:
        """Take one letter for somebody who waits; what cannot be taken now is left as it waits."""
        with contextlib.suppress(Refusal):
            await self._deliver(due)

    async def _deliver(self, due: Due) -> int:
        await hit("gateway.before_notice")
        try:
            return await self._settle(due)
        except (LeaseLost, RaceLost):
            return 0  # the call moved meanwhile: the letter is due as it was
        except Refusal as refusal:
            if refusal.kind is Kind.UNAVAILABLE:
                raise  # the database is away: the worker waits for it
            return await self._put_off(due, refusal)
        except Exception as error:  # noqa: BLE001 - one bad letter must not stop the others
            return await self._put_off(due, error)

    async def _settle(self, due: Due) -> int:
        async with self.letters.begin() as tx:
            letter = await self.letters.open(tx, due)
            if letter is None:
                return 0
            taken = await self.take(tx, letter)
            state, pause = _next(letter.tries, is_early=taken is Taken.EARLY)
            if letter.notice.dispute is not None and taken in _NOBODYS:
                state = InboxState.DEAD  # money may be gone that no payment knows of
            self.letters.settle(tx, due, state, result=taken.value, pause=pause)
        if taken not in {Taken.APPLIED, Taken.KNOWN, Taken.NOTHING}:
            _log.info(
                "notice_taken", account=due.account, event_id=due.event_id, taken=taken,
                operation=letter.notice.operation[:80], state=state,
            )  # fmt: skip
        return int(state is not InboxState.WAITING)

    async def _put_off(self, due: Due, error: Exception) -> int:
        _log.error(
            "notice_not_taken", account=due.account, event_id=due.event_id,
            error=type(error).__name__, exc_info=error,
        )  # fmt: skip
        async with self.letters.begin() as tx:
            letter = await self.letters.open(tx, due)
            if letter is not None:
                state, pause = _next(letter.tries, is_early=True)
                result = f"FAILED: {type(error).__name__}"
                self.letters.settle(tx, due, state, result=result, pause=pause)
        return 0


def _next(tries: int, *, is_early: bool) -> tuple[InboxState, timedelta]:
    """Where a letter goes after its try, and when it is due again."""
    if not is_early:
        return InboxState.DONE, timedelta()
    if tries + 1 >= TRIES_MAX:
        return InboxState.DEAD, timedelta()
    pause = min(PAUSE_FIRST * 2 ** min(tries, _DOUBLINGS_MAX), PAUSE_MAX)
    return InboxState.WAITING, pause * (1 - JITTER * random.random())  # noqa: S311 - it guards no secret
