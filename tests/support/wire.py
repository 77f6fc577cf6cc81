"""A wire between a gateway and a processor, for tests of what a lost answer does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Wire:
    """A TCP proxy in front of a processor that swallows answers, or holds requests back."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.port = 0
        self.loses_answers_to = b""  # requests that contain this never get their answer
        self.holds = b""  # requests that contain this are delivered when `let_go` is set
        self.let_go = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._writers |= {writer, up_writer}
        lost = False

        async def up() -> None:
            nonlocal lost
            while data := await reader.read(65_536):
                lost = lost or bool(self.loses_answers_to and self.loses_answers_to in data)
                if self.holds and self.holds in data:
                    await self.let_go.wait()
                up_writer.write(data)
            up_writer.close()

        async def down() -> None:
            while data := await up_reader.read(65_536):
                if lost:
                    writer.transport.abort()
                    return
                writer.write(data)
            writer.close()

        with contextlib.suppress(OSError):
            await asyncio.gather(up(), down())
