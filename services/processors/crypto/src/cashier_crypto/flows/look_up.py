"""Find out what became of an operation, and retire its address where its door is to be closed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cashier_common.clock import Clock
from cashier_common.errors import FieldInvalid, OperationReused, PeerUnavailable
from cashier_common.money import Money
from cashier_crypto.domain.account import ProcessorAccount
from cashier_crypto.domain.errors import ChainUnavailable, MovedOn, OperationKnown
from cashier_crypto.domain.lifecycle import Event, State
from cashier_crypto.domain.outcome import Outcome, Verdict
from cashier_crypto.domain.transfer import Transfer, outcome_of
from cashier_crypto.flows.ports import LOOK_UP, Book, ChainRecord, Endpoint, Known, Origin

# The watcher may move the deposit while we close it; then we look again.
TRIES = 4


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
    """The flow with its ports; `endpoint` is None where this deployment has no chain."""

    book: Book
    record: ChainRecord
    accounts: Mapping[str, ProcessorAccount]
    endpoint: Endpoint | None
    clock: Clock

    async def __call__(self, question: Question, origin: Origin) -> tuple[Transfer | None, Outcome]:
        """The truth about an operation: its deposit, where it has one, and the outcome.

        NOT_FOUND means that the operation is fenced and no deposit of it will be credited. With
        the door to be closed it asks the chain first: PeerUnavailable where the chain is silent,
        and then nothing has changed.
        """
        if question.account not in self.accounts:
            raise FieldInvalid(
                "processor_account", question.account, "an account that ListCapabilities names"
            )
        for _ in range(TRIES):
            found = await self.book.find(merchant=question.merchant, operation=question.operation)
            try:
                return await self._answer(found, question, origin)
            except (OperationKnown, MovedOn):
                continue
        raise RuntimeError(f"the row of {question.operation} moves faster than it can be read")

    async def _answer(
        self, found: Known | None, question: Question, origin: Origin
    ) -> tuple[Transfer | None, Outcome]:
        now = self.clock.now()
        if found is None:
            if not question.close_door:
                detail = (
                    "this rail has not seen the operation and it may still come: close its door"
                )
                return None, Outcome(Verdict.IN_DOUBT, detail, now)
            async with self.book.begin() as tx:
                self.book.add_tombstone(
                    tx, merchant=question.merchant, operation=question.operation, origin=origin
                )
            return None, _absent(now)
        transfer = found.transfer
        if transfer is None:
            return None, _absent(now)
        if (transfer.account, transfer.amount) != (question.account, question.amount):
            raise OperationReused(operation=question.operation)
        if not question.close_door:
            return transfer, outcome_of(transfer, now)
        if transfer.state is State.EXPIRED:
            return transfer, replace(outcome_of(transfer, now), verdict=Verdict.NOT_FOUND)
        if transfer.state is not State.AWAITED:  # money was seen: no door can be closed on it
            return transfer, outcome_of(transfer, now)
        return await self._close(transfer, origin)

    async def _close(self, transfer: Transfer, origin: Origin) -> tuple[Transfer, Outcome]:
        now = self.clock.now()
        if await self._is_paid(transfer):
            detail = "a transfer to the address is in a block that was not read yet"
            return transfer, Outcome(Verdict.PENDING, detail, now)
        closed = transfer.moved(Event.RETIRE, now, _absent(now))
        async with self.book.begin() as tx:
            self.book.move(tx, transfer, closed, action=Event.RETIRE, source=LOOK_UP, origin=origin)
            self.book.fence(tx, merchant=transfer.merchant, operation=transfer.operation)
        return closed, outcome_of(closed, now)

    async def _is_paid(self, transfer: Transfer) -> bool:
        """Whether the chain shows a payment that the watcher has not come to."""
        if self.endpoint is None:
            raise PeerUnavailable(peer=f"a node of {transfer.chain}")
        try:
            read = await self.record.cursor(transfer.chain)
            head = await self.endpoint.head()
            first = self.accounts[transfer.account].start_block if read is None else read.number + 1
            if first > head.number:
                return False
            logs = await self.endpoint.logs_paying(first, head.number, [transfer.address])
        except ChainUnavailable:
            raise PeerUnavailable(peer=f"a node of {transfer.chain}") from None
        return any(log.contract == transfer.token.contract and log.units > 0 for log in logs)


def _absent(now: datetime) -> Outcome:
    detail = "nothing was paid, and the operation is closed: what still comes is never credited"
    return Outcome(Verdict.NOT_FOUND, detail, now)
