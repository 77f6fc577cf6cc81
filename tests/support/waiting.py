"""Waiting for what another process brings about, never for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 45.0
LOOK_S = 0.1


async def until(
    look: Callable[[], Awaitable[T | None]], patience_s: float = PATIENCE_S, every_s: float = LOOK_S
) -> T:
    """The first answer of `look` that says something; AssertionError when patience runs out."""
    deadline = time.monotonic() + patience_s
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, f"nothing came of it within {patience_s:g} s"
        await asyncio.sleep(every_s)
