"""A wire that fails on demand: TCP between two parts of the mesh, cut, slowed or swallowed."""

import asyncio
import contextlib
import random
import socket
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

LOOPBACK = "127.0.0.1"
PIECE_BYTES = 65_536
REQUEST_MIN_BYTES = 450  # of gRPC: pings and acknowledgements are smaller
SLOW_S = 0.3
LOOK_S = 0.05
REBIND_S = 10.0


class Mood(StrEnum):
    """What a wire does to what goes through it."""

    PASS = "pass"
    REFUSE = "refuse"  # nobody listens; open connections are reset
    CUT_BEFORE = "cut_before"  # reset instead of passing a request on
    CUT_AFTER = "cut_after"  # the request goes through, its answer never does
    SLOW = "slow"
    SILENT = "silent"  # a black hole in both directions, reset in the end
    DEAF = "deaf"  # requests go through, answers are held back and lost


@dataclass(frozen=True)
class Weather:
    """A mood, and of how many pieces in a thousand it takes hold."""

    mood: Mood = Mood.PASS
    per_mille: int = 1_000


CALM = Weather()
OVER = Mood.PASS, Mood.SLOW


class Wire:
    """One listening port in front of one port; `weather` may be set from any thread."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, seed: int) -> None:
        self.name = name
        self.upstream_port = 0
        self.harmed: Counter[str] = Counter()
        self.requests = 0  # pieces large enough to hold an operation
        self._loop = loop
        self._chance = random.Random(f"{seed} {name}")
        self._weather = CALM
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def change(self, weather: Weather) -> None:
        """From now on; a wire that refuses closes its port, so that connecting really fails."""
        self._weather = weather
        if weather.mood is Mood.REFUSE:
            await self._close()
        elif self._server is None:
            await self.listen()

    async def listen(self) -> None:
        """Take connections, always on the same port."""
        patience = asyncio.timeout(REBIND_S)
        async with patience:
            while self._server is None:
                with contextlib.suppress(OSError):
                    self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
                await asyncio.sleep(0 if self._server else LOOK_S)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.harmed[Mood.REFUSE] += len(self._open)
        for writer in list(self._open):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            answers, far = await asyncio.open_connection(LOOPBACK, self.upstream_port)
            self._open.add(far)
            pumps = (
                asyncio.create_task(self._pump(reader, far, is_request=True)),
                asyncio.create_task(self._pump(answers, writer, is_request=False)),
            )
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    self._open.discard(end)
                    _reset(end)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        """Carry pieces one way until one side ends or the weather takes the connection."""
        with contextlib.suppress(OSError):
            while piece := await source.read(PIECE_BYTES):
                if await self._takes(is_request=is_request):
                    return
                self.requests += is_request and len(piece) > REQUEST_MIN_BYTES
                sink.write(piece)
                await sink.drain()

    async def _takes(self, *, is_request: bool) -> bool:
        """Whether the connection ends here, with the piece; waits as long as the weather says."""
        weather = self._weather
        if weather.mood is Mood.PASS or self._chance.randrange(1_000) >= weather.per_mille:
            return False
        match weather.mood:
            case Mood.SLOW:
                await asyncio.sleep(SLOW_S)
                return False
            case Mood.CUT_BEFORE:
                taken = is_request
            case Mood.CUT_AFTER:
                taken = not is_request
            case Mood.SILENT:
                taken = await self._swallow()
            case Mood.DEAF:
                taken = not is_request and await self._swallow()
            case _:
                taken = True
        self.harmed[weather.mood] += taken
        return taken

    async def _swallow(self) -> bool:
        mood = self._weather.mood
        while self._weather.mood is mood:  # noqa: ASYNC110 - it is set from another thread
            await asyncio.sleep(LOOK_S)
        return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a broken line does: with a reset, and without what was buffered."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00" + b"\x00" * 4)
    writer.transport.abort()


class Wires:
    """All wires of a mesh, in a thread of their own: a test's loop may be busy or blocked."""

    def __init__(self, names: tuple[str, ...], seed: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)
        self._wires = {name: Wire(name, self._loop, seed) for name in names}

    def __enter__(self) -> Self:
        self._thread.start()
        for wire in self._wires.values():
            self._do(wire.listen())
        return self

    def __exit__(self, *_: object) -> None:
        for wire in self._wires.values():
            self._do(wire.change(Weather(Mood.REFUSE)))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def __getitem__(self, name: str) -> Wire:
        return self._wires[name]

    def change(self, name: str, weather: Weather) -> None:
        """Give one wire another weather; it holds when this returns."""
        self._do(self._wires[name].change(weather))

    def clear(self) -> None:
        """End all bad weather."""
        for name in self._wires:
            self.change(name, CALM)

    @property
    def harmed(self) -> Counter[str]:
        """How many connections each mood took."""
        return sum((wire.harmed for wire in self._wires.values()), Counter())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(REBIND_S * 2)
