"""One port that can really go away: while closed, the operating system refuses connections."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from cashier_sandbox.http.fields import BODY_MAX_BYTES

# How long to wait for the event loop to let go of a closed port, in steps.
REBIND_WAIT_S = 5.0
REBIND_STEP_S = 0.002
BACKLOG_CONNECTIONS = 1_024
SHUTDOWN_WAIT_S = 2.0
# Longer than callers keep an idle connection: the caller closes first, so no request is lost.
KEEPALIVE_S = 90.0


class PortTaken(Exception):
    """Somebody else listens on a port that is ours by configuration."""


class Listener:
    """Serves an application on one port; `refuse` and `accept` may alternate for ever."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=KEEPALIVE_S
        )
        self._host, self.port = host, port
        self._site: web.SockSite | None = None
        # Bound without listening: connections are refused and nobody else can take the port.
        self._reserved: socket.socket | None = None

    async def start(self) -> None:
        """Listen; from here `port` is the real one."""
        await self._runner.setup()
        self._reserved = self._bind()
        self.port = self._reserved.getsockname()[1]
        await self.accept()

    async def accept(self) -> None:
        """Take connections again; nothing if it already does."""
        if self._reserved is None:
            return
        taken, self._reserved = self._reserved, None
        self._site = web.SockSite(self._runner, taken, backlog=BACKLOG_CONNECTIONS)
        await self._site.start()

    async def refuse(self) -> None:
        """Close the port and cut every open connection; nothing if it already is closed."""
        if self._site is None:
            return
        site, self._site = self._site, None
        await site.stop()
        self.cut_all()
        async with asyncio.timeout(REBIND_WAIT_S):
            while self._reserved is None:
                await asyncio.sleep(REBIND_STEP_S)
                try:
                    self._reserved = self._bind()
                except PortTaken:
                    continue
        self.cut_all()

    def cut_all(self) -> None:
        """Close every open connection at once, answered or not."""
        server = self._runner.server
        for connection in list(server.connections) if server else []:
            if connection.transport is not None:
                connection.transport.abort()

    async def stop(self) -> None:
        """Give the port back; requests at work get a moment to finish."""
        if self._reserved is not None:
            self._reserved.close()
        await self._runner.cleanup()

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.settimeout(0)
        try:
            bound.bind((self._host, self.port))
        except OSError as error:
            bound.close()
            raise PortTaken(
                f"cannot listen on {self._host}:{self.port} ({error.strerror}); "
                "choose another port or stop what uses it"
            ) from error
        return bound


def application(
    *, middleware: object, routes: list[web.RouteDef], body_max_bytes: int = BODY_MAX_BYTES
) -> web.Application:
    """Return an application with the sandbox's limits."""
    app = web.Application(middlewares=[middleware], client_max_size=body_max_bytes)  # type: ignore[list-item]
    app.add_routes(routes)
    return app
