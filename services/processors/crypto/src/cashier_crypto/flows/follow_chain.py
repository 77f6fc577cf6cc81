"""Read the chain into our record, block by block, and take back what a reorganisation replaced."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from cashier_common.clock import Clock
from cashier_common.failpoints import hit
from cashier_crypto.domain.errors import ChainUnavailable, WrongChain
from cashier_crypto.domain.sighting import Block, Log, Sighting
from cashier_crypto.flows.ports import Book, ChainRecord, Endpoint, Origin

BLOCKS_MAX: Final = 50
"""Blocks per round: one unit of work of some thousand rows at the most, far below 5 s."""
BLOCKS_KEPT: Final = 2_000
"""Blocks that a walk back can cross: over six hours of Ethereum; no reorganisation came near it."""
WALK: Final = 32
"""Blocks compared per look into our record on the way back."""
STRAYS_MAX: Final = 1_000
"""Open addresses that are watched for transfers of tokens that are on no list."""
STRAYS_CHUNK: Final = 200
"""Addresses per question: what public nodes take."""
SHAKEN_MAX: Final = 1_000
CALLS_MAX: Final = 8
"""Questions to a node that are under way at once."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look for: tokens by contract, from a block on."""

    chain: str
    start_block: int
    contracts: frozenset[str]


class _Raced(Exception):
    """The chain changed between two of our questions: ask again."""


async def follow_chain(
    endpoint: Endpoint, record: ChainRecord, book: Book, watch: Watch, clock: Clock
) -> int:
    """One round: walk back where blocks were replaced, else read what is new; blocks moved.

    Blocks, sightings and cursor are one unit of work: a crash before it reads them again, a crash
    after it goes on behind them. WrongChain where no block on record is the endpoint's.
    """
    cursor = await record.cursor(watch.chain)
    head = await endpoint.head()
    if cursor is not None and not await _stands(cursor, head, endpoint, record, watch):
        return await _walk_back(cursor, head, endpoint, record, book, watch, clock)
    first = watch.start_block if cursor is None else cursor.number + 1
    last = min(head.number, first + BLOCKS_MAX - 1)
    if last < first:
        return 0
    try:
        blocks = await _blocks(endpoint, first, last, cursor)
        sightings = await _sightings(endpoint, record, watch, blocks)
    except _Raced:
        return 0
    await hit("crypto.blocks_read")
    async with record.begin() as tx:
        record.record(
            tx, watch.chain, seen=cursor, blocks=blocks, sightings=sightings,
            keep_from=last - BLOCKS_KEPT,
        )  # fmt: skip
    await hit("crypto.blocks_recorded")
    return len(blocks)


async def _stands(
    cursor: Block, head: Block, endpoint: Endpoint, record: ChainRecord, watch: Watch
) -> bool:
    """Whether what was read last is still the endpoint's; a node that only lags says so too."""
    number = min(cursor.number, head.number)
    ours = cursor if number == cursor.number else await record.block(watch.chain, number)
    theirs = await _known(endpoint, number)
    if ours is None:
        raise ChainUnavailable(f"{endpoint.name} is thousands of blocks behind what was read")
    return ours.hash == theirs.hash


async def _walk_back(
    cursor: Block,
    head: Block,
    endpoint: Endpoint,
    record: ChainRecord,
    book: Book,
    watch: Watch,
    clock: Clock,
) -> int:
    fork = await _fork(min(cursor.number, head.number), endpoint, record, watch)
    depth = cursor.number - fork.number
    _log.warning("chain_reorganised", chain=watch.chain, depth=depth, fork=fork.number)
    shaken = await book.shaken(chain=watch.chain, above=fork.number, limit=SHAKEN_MAX)
    for transfer in shaken:
        _log.error("finality_broken", transfer=transfer.name, depth=depth)
        async with book.begin() as tx:
            book.move(
                tx, transfer, transfer.noted(clock.now()), action="FINALITY_BROKEN", source="",
                origin=Origin("worker/watcher", transfer.traceparent),
            )  # fmt: skip
    await hit("crypto.fork_found")
    async with record.begin() as tx:
        record.rewind(tx, watch.chain, seen=cursor, fork=fork)
    return depth


async def _fork(number: int, endpoint: Endpoint, record: ChainRecord, watch: Watch) -> Block:
    while ours := await record.blocks_below(watch.chain, number, WALK):
        for block in ours:
            if (await _known(endpoint, block.number)).hash == block.hash:
                return block
        number = ours[-1].number - 1
    raise WrongChain(
        f"no block of {watch.chain} on record is a block of {endpoint.name}: it serves another "
        "chain, or one that was started anew; point CASHIER_CHAIN_URL at the former one, or give "
        "this service an empty database"
    )


async def _known(endpoint: Endpoint, number: int) -> Block:
    found = await endpoint.block(number)
    if found is None:
        raise ChainUnavailable(f"{endpoint.name} does not have block {number} below its own head")
    return found


async def _blocks(endpoint: Endpoint, first: int, last: int, cursor: Block | None) -> list[Block]:
    """The blocks, each the parent of the next; _Raced where they are not of one chain."""
    gate = asyncio.Semaphore(CALLS_MAX)

    async def one(number: int) -> Block | None:
        async with gate:
            return await endpoint.block(number)

    blocks = []
    parent = cursor.hash if cursor else None
    for block in await asyncio.gather(*(one(number) for number in range(first, last + 1))):
        if block is None or (parent is not None and block.parent_hash != parent):
            raise _Raced
        blocks.append(block)
        parent = block.hash
    return blocks


async def _sightings(
    endpoint: Endpoint, record: ChainRecord, watch: Watch, blocks: Sequence[Block]
) -> list[Sighting]:
    """What pays our addresses in these blocks, of listed tokens and of strays."""
    first, last = blocks[0].number, blocks[-1].number
    logs = await endpoint.token_logs(first, last, watch.contracts)
    ours = await record.ours({log.destination for log in logs})
    paying = [log for log in logs if log.destination in ours and log.units > 0]
    paying += await _strays(endpoint, record, watch, first, last)
    hashes = {block.number: block.hash for block in blocks}
    if any(hashes.get(log.block_number) != log.block_hash for log in paying):
        raise _Raced
    sightings = [
        sighting
        for tx_hash in {log.tx_hash: None for log in paying}
        for sighting in await _of_transaction(
            endpoint, tx_hash, [log for log in paying if log.tx_hash == tx_hash]
        )
    ]
    # The logs were those of these blocks if the last one is still the same, parents and all.
    if (again := await endpoint.block(last)) is None or again.hash != hashes[last]:
        raise _Raced
    return sightings


async def _strays(
    endpoint: Endpoint, record: ChainRecord, watch: Watch, first: int, last: int
) -> list[Log]:
    """Transfers of unlisted tokens to open addresses: evidence that never counts as money."""
    awaited = await record.awaiting(watch.chain, STRAYS_MAX)
    logs: list[Log] = []
    for start in range(0, len(awaited), STRAYS_CHUNK):
        logs += await endpoint.logs_paying(first, last, awaited[start : start + STRAYS_CHUNK])
    return [log for log in logs if log.contract not in watch.contracts and log.units > 0]


async def _of_transaction(endpoint: Endpoint, tx_hash: str, logs: Sequence[Log]) -> list[Sighting]:
    """The logs with their ordinals, which only the receipt tells."""
    receipt = await endpoint.receipt(tx_hash)
    if receipt is None:
        raise _Raced
    ordinals = {log.index: ordinal for ordinal, log in receipt.transfers.items()}
    if any(log.index not in ordinals or log.block_hash != receipt.block_hash for log in logs):
        raise _Raced
    return [Sighting.of(log, ordinals[log.index]) for log in logs]
