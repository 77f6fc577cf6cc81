"""Derive addresses ahead of need, so that giving one out is a row and no arithmetic."""

import asyncio
from typing import Final

from cashier_crypto.domain.xpub import ExtendedKey
from cashier_crypto.flows.ports import Book

BATCH: Final = 50
"""Children derived at a time: some 50 ms of one core."""
FREE_MIN: Final = 200
"""Deposits that may begin in the seconds between two looks of the worker."""


async def fill_pool(book: Book, xpub: str, *, free_min: int) -> int:
    """Derive one batch where fewer than `free_min` are free; how many were added.

    Two processes may derive the same children: an address is in the pool once. A crash loses
    nothing: the next child is read from the rows.
    """
    key = ExtendedKey.parse(xpub)
    free, following = await book.pool_state(key.fingerprint)
    if free >= free_min:
        return 0
    children = await asyncio.to_thread(
        lambda: [(index, key.address(index)) for index in range(following, following + BATCH)]
    )
    return await book.add_addresses(key.fingerprint, children)
