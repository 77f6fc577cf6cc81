"""What a failed HTTP exchange proves: that nothing left this machine, or nothing at all."""

from typing import Final

import aiohttp

from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer

# Connecting to a processor takes a TLS handshake around the world; more means that it is away.
CONNECT_TIMEOUT_S: Final = 3.0
# Below the 60 s and more after which processors close an idle connection, so that we close first:
# a request written to a connection that the other side just closed is a doubt for nothing.
KEEPALIVE_S: Final = 15.0
# Connections to one processor account; more operations than this under way wait for one.
CONNECTIONS_MAX: Final = 200
# Exceptions of an exchange with a processor; anything else is a fault of our own.
EXCHANGE_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError)


def open_session() -> aiohttp.ClientSession:
    """A pool of connections to one processor account, for the loop that runs now."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def patience(total_s: float) -> aiohttp.ClientTimeout:
    """So long for a whole exchange, and not all of it for connecting."""
    return aiohttp.ClientTimeout(total=total_s, sock_connect=min(CONNECT_TIMEOUT_S, total_s))


def is_unsent(error: BaseException | None) -> bool:
    """Whether the failure proves that not one byte of the request left.

    Only while connecting: name not resolved, connection refused or not answered, TLS refused. A
    connection that was open and then broke proves nothing.
    """
    return isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError))


def failure_answer(processor: str, error: BaseException) -> Answer:
    """The answer that a failed exchange leaves: FAIL_UNSENT with proof, else LOSE_TRACK."""
    if is_unsent(error):
        detail = f"no connection to {processor}: {type(error).__name__}"
        return Answer(Event.FAIL_UNSENT, detail, of_request=True)
    return Answer(
        Event.LOSE_TRACK,
        f"the answer of {processor} did not come: {type(error).__name__}",
        timed_out=isinstance(error, TimeoutError),
    )
