"""Carry notices to the merchant's endpoints over HTTP, within limits."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

POST_WAIT_S = 10.0
CONNECT_WAIT_S = 3.0


class Postman:
    """One session for all accounts; follows no redirect and keeps no answer."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """Return the status of the answer, None where there was none in time."""
        if self._session is None:  # a session belongs to the loop that runs it
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=POST_WAIT_S, sock_connect=CONNECT_WAIT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
