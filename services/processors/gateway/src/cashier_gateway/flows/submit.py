"""Send one operation once: row, processor, outcome; a duplicate gets what the first one got."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cashier_common.clock import Clock
from cashier_common.errors import OperationFenced, OperationReused, StoreUnavailable
from cashier_common.failpoints import hit
from cashier_gateway.domain.call import Call, Command
from cashier_gateway.domain.errors import AccountNotEligible, OperationKnown
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.flows.complete import complete
from cashier_gateway.flows.ports import ANSWER, Book, Origin, Terminal
from cashier_gateway.flows.resume import resume
from cashier_gateway.flows.send import send
from cashier_gateway.flows.under_way import Ticket, UnderWay

# How often a duplicate in another process looks whether the first one rests.
POLL_S: Final = 0.1
LATE_ANSWER: Final = "LATE_ANSWER"


@dataclass(frozen=True, slots=True)
class Submit:
    """The flow with its ports."""

    book: Book
    terminals: Mapping[str, Terminal]
    under_way: UnderWay
    clock: Clock

    async def __call__(
        self, command: Command, origin: Origin, *, wait_s: float
    ) -> tuple[Call | None, bool]:
        """The call as it stands after at most `wait_s`, and whether an earlier call began it.

        None when not even the row is known to be written by then: that is in doubt too. The flow
        itself goes on whatever becomes of the caller.
        """
        return await self.under_way.join(
            (command.merchant, command.operation),
            command.fingerprint,
            wait_s=wait_s,
            flow=lambda ticket: self._begin(command, origin, ticket),
        )

    async def _begin(self, command: Command, origin: Origin, ticket: Ticket) -> Call:
        try:
            completed, terminal = await complete(command, self.book, self.terminals)
            call = Call.submitted(
                completed, ticket.fingerprint, traceparent=origin.traceparent, at=self.clock.now()
            )
            async with self.book.begin() as tx:
                self.book.add(tx, call, origin)
        except OperationKnown:
            return await self._again(command, origin, ticket)
        except AccountNotEligible:
            # What was begun before the account was closed still has its answer.
            if await self._find(command) is None:
                raise
            return await self._again(command, origin, ticket)
        await hit("gateway.after_row")
        return await send(
            call, terminal, origin, source=lambda: _source(ticket), book=self.book, clock=self.clock
        )

    async def _again(self, command: Command, origin: Origin, ticket: Ticket) -> Call:
        """Wait until the earlier call rests; go on with it where its owner is gone."""
        ticket.is_replay = True
        found = await self._find(command)
        while True:
            if found is None:  # rows are never deleted
                raise RuntimeError(f"the row of {command.operation} is gone")
            earlier = found
            if found.fenced:
                raise OperationFenced(operation=found.operation)
            if found.fingerprint != ticket.fingerprint:
                raise OperationReused(operation=found.operation)
            terminal = self.terminals.get(found.account)
            if found.state is not State.SUBMITTING or terminal is None:
                return found
            if found.lapsed:
                return await resume(
                    found, terminal, origin, source=lambda: _source(ticket), book=self.book,
                    clock=self.clock,
                )  # fmt: skip
            await asyncio.sleep(POLL_S)
            try:
                found = await self._find(command)
            except StoreUnavailable:  # "nothing happened" would be a lie: the first is on its way
                return earlier

    async def _find(self, command: Command) -> Call | None:
        return await self.book.find(merchant=command.merchant, operation=command.operation)


def _source(ticket: Ticket) -> str:
    return LATE_ANSWER if ticket.is_late else ANSWER
