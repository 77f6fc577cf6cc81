"""Move each deposit as far as the chain that was read allows; money counts only at FINAL."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from cashier_common.clock import Clock
from cashier_common.failpoints import hit
from cashier_crypto.domain.account import ProcessorAccount
from cashier_crypto.domain.errors import ChainUnavailable, MovedOn
from cashier_crypto.domain.lifecycle import Event
from cashier_crypto.domain.outcome import Outcome, Verdict
from cashier_crypto.domain.sighting import Block
from cashier_crypto.domain.transfer import Transfer, contradicted, credited
from cashier_crypto.flows.ports import CHAIN, Book, ChainRecord, Endpoint, Origin

BATCH_MAX: Final = 500
AT_ONCE_MAX: Final = 8
"""Deposits that are moved at the same time: each is one unit of work."""
ACTOR: Final = "worker/watcher"

_log = structlog.get_logger(__name__)


async def advance_transfers(
    book: Book,
    record: ChainRecord,
    endpoints: Sequence[Endpoint],
    accounts: Mapping[str, ProcessorAccount],
    chain: str,
    clock: Clock,
) -> int:
    """One step of every deposit that is due; how many were moved.

    Each is one unit of work with its step, so a crash leaves the others for the next round. A
    deposit that not every endpoint shows alike stays CONFIRMING.
    """
    read = await record.cursor(chain)
    if read is None:
        return 0
    due = await book.due(chain=chain, height=read.number, limit=BATCH_MAX)
    due = [transfer for transfer in due if transfer.due_event(read.number)]
    heads = _Heads(endpoints)
    gate = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(transfer: Transfer) -> int:
        async with gate:
            return await _advance(transfer, read, book, heads, accounts, clock)

    moved = await asyncio.gather(*(one(transfer) for transfer in due))
    return sum(moved) + await _expire(book, record, accounts, chain, read, clock)


async def _advance(
    transfer: Transfer,
    read: Block,
    book: Book,
    heads: "_Heads",
    accounts: Mapping[str, ProcessorAccount],
    clock: Clock,
) -> int:
    event = transfer.due_event(read.number)
    now = clock.now()
    outcome: Outcome | None = None
    match event:
        case None:
            return 0
        case Event.FINALIZE:
            if not await heads.all_show(transfer):
                return 0
        case Event.CREDIT:
            account = accounts.get(transfer.account)
            if account is None:
                _log.error("account_gone", transfer=transfer.name, account=transfer.account)
                return 0
            await hit("crypto.before_credit")
            outcome = credited(transfer, account, now)
        case Event.CONTRADICT:
            outcome = contradicted(transfer, now)
    try:
        async with book.begin() as tx:
            book.move(
                tx, transfer, transfer.moved(event, now, outcome), action=event,
                source=CHAIN if outcome else "", origin=Origin(ACTOR, transfer.traceparent),
            )  # fmt: skip
    except MovedOn:
        return 0
    await hit(f"crypto.after_{event.lower()}")
    return 1


class _Heads:
    """The endpoints of one round; each is asked for its head once."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._heads: dict[str, asyncio.Task[Block]] = {}

    async def all_show(self, transfer: Transfer) -> bool:
        """Whether every endpoint shows the same transfer in the same block, deep enough."""
        answers = await asyncio.gather(
            *(self._shows(endpoint, transfer) for endpoint in self._endpoints)
        )
        return bool(answers) and all(answers)

    async def _shows(self, endpoint: Endpoint, transfer: Transfer) -> bool:
        seen = transfer.sighting
        if seen is None:
            return False
        try:
            head = await self._head(endpoint)
            receipt = await endpoint.receipt(seen.tx_hash)
        except ChainUnavailable as error:
            _log.warning("witness_silent", endpoint=endpoint.name, error=str(error))
            return False
        deep = head.number - seen.block_number >= transfer.required_confirmations
        if receipt is None or not deep or not seen.same_as(receipt):
            _log.warning(
                "witness_disagrees", endpoint=endpoint.name, transfer=transfer.name, deep=deep,
                shown=receipt is not None,
            )  # fmt: skip
            return False
        return True

    async def _head(self, endpoint: Endpoint) -> Block:
        task = self._heads.get(endpoint.name)
        if task is None:
            task = self._heads[endpoint.name] = asyncio.ensure_future(endpoint.head())
        return await task


async def _expire(
    book: Book,
    record: ChainRecord,
    accounts: Mapping[str, ProcessorAccount],
    chain: str,
    read: Block,
    clock: Clock,
) -> int:
    """End what nobody paid in time: by the time of a block that is final, never by our clock."""
    deepest = max(account.required_confirmations for account in accounts.values())
    final_time = await record.final_time(chain, read.number - deepest)
    if final_time is None:
        return 0
    expired = 0
    for transfer in await book.expirable(chain=chain, before=final_time, limit=BATCH_MAX):
        now = clock.now()
        outcome = Outcome(Verdict.EXPIRED, "nothing was paid before the address was retired", now)
        try:
            async with book.begin() as tx:
                book.move(
                    tx, transfer, transfer.moved(Event.EXPIRE, now, outcome),
                    action=Event.EXPIRE, source=CHAIN, origin=Origin(ACTOR, transfer.traceparent),
                )  # fmt: skip
        except MovedOn:
            continue
        expired += 1
    return expired
