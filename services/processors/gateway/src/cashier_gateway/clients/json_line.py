"""The line to a processor that speaks JSON over HTTP: its connections, and one exchange."""

from collections.abc import Callable, Mapping

import aiohttp
import orjson
from opentelemetry import trace

from cashier_gateway.clients.failures import open_session

_tracer = trace.get_tracer("cashier_gateway")


class JsonLine:
    """Connections to one account; `name` is what its spans are called.

    `parse` reads an answer's JSON, for those who must not read its numbers as floats.
    """

    def __init__(
        self, name: str, base_url: str, *, parse: Callable[[bytes], object] = orjson.loads
    ) -> None:
        self._parse = parse
        self._name = name
        self._base = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        path: str,
        patience: aiohttp.ClientTimeout,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> tuple[int, object]:
        """One exchange: HTTP status and the answer as parsed JSON, None where it is no JSON.

        Raises one of EXCHANGE_FAILURES where no answer came.
        """
        if self._session is None:  # a session belongs to the loop that runs it
            self._session = open_session()
        span_name = f"{self._name} {method}"
        with _tracer.start_as_current_span(span_name, kind=trace.SpanKind.CLIENT) as span:
            async with self._session.request(
                method, self._base + path, data=body, headers=headers, timeout=patience,
                allow_redirects=False,
            ) as response:  # fmt: skip
                span.set_attribute("http.response.status_code", response.status)
                raw = await response.read()
        try:
            return response.status, self._parse(raw)
        except ValueError:  # what is no JSON
            return response.status, None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
