"""Outage windows: they begin and end by the clock, or when the control API says so."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from cashier_sandbox.domain.conditions import OutageMode
from cashier_sandbox.flows.desk import Desk

_log = structlog.get_logger()


class Port(Protocol):
    """The account's port."""

    async def accept(self) -> None:
        """Take connections."""

    async def refuse(self) -> None:
        """Close the port and every open connection."""


class Outages:
    """The windows of one account; a window that begins ends the one before."""

    def __init__(self, desk: Desk, port: Port) -> None:
        self._desk, self._port = desk, port
        self._current: asyncio.Task[None] | None = None
        self._planned: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()

    async def start(self, mode: OutageMode, *, after_s: float, for_s: float | None) -> None:
        """Begin now (it is in force on return) or later; last `for_s` seconds or until ended."""
        if after_s > 0:
            task = asyncio.create_task(self._later(mode, after_s, for_s))
            self._planned.add(task)
            task.add_done_callback(self._planned.discard)
            return
        await self._begin(mode, for_s)

    async def end_all(self) -> None:
        """Be there again and forget the windows that were planned."""
        for task in list(self._planned):
            task.cancel()
        if self._current:
            self._current.cancel()
            self._current = None
        await self._end()

    async def _later(self, mode: OutageMode, after_s: float, for_s: float | None) -> None:
        await asyncio.sleep(after_s)
        await self._begin(mode, for_s)

    async def _begin(self, mode: OutageMode, for_s: float | None) -> None:
        if self._current:
            self._current.cancel()
            self._current = None
        await self._end()
        async with self._changing:
            self._desk.outage_over.clear()
            self._desk.conditions.outage = mode
            if mode is OutageMode.REFUSE:
                await self._port.refuse()
            _log.info("outage.began", account=self._desk.account.name, mode=mode)
        if for_s is not None:
            self._current = asyncio.create_task(self._over_in(for_s))

    async def _over_in(self, for_s: float) -> None:
        await asyncio.sleep(for_s)
        self._current = None
        await self._end()

    async def _end(self) -> None:
        async with self._changing:
            mode, self._desk.conditions.outage = self._desk.conditions.outage, None
            if mode is None:
                return
            self._desk.outage_over.set()
            await self._port.accept()
            _log.info("outage.ended", account=self._desk.account.name, mode=mode)
