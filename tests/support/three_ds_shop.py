"""A shop for browser tests: its server, its page with the bank's frame, its way back."""

import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.support.sandbox_process import Sandbox
from tests.support.three_ds import areq, new_key, read

_PAY = """<!doctype html><title>Shop</title><h1>Shop</h1>
<form id="bank" method="post" action="{action}"{target}>{fields}<button>Pay</button></form>
{frame}"""


@dataclass
class Shop:
    """What the shop's server was told by browsers, which proves nothing, and what it asks."""

    sandbox: Sandbox
    port: int = 0
    pages: dict[str, str] = field(default_factory=dict)
    posted: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        # Another host than the bank's, so that the two are strangers to the browser.
        return f"http://localhost:{self.port}"

    def told(self, path: str, count: int = 1, wait_s: float = 10.0) -> list[dict[str, str]]:
        """The forms that browsers posted to a path, once so many have come."""
        with self.came:
            self.came.wait_for(lambda: len(self._at(path)) >= count, wait_s)
            return self._at(path)

    def messages(self, path: str = "/back") -> list[dict[str, Any]]:
        """The CRes of each form that came back."""
        return [read(form["cres"]) for form in self.told(path)]

    def _at(self, path: str) -> list[dict[str, str]]:
        return [form for where, form in self.posted if where == path]

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The 3DS server's answer to the shop's server."""
        address = f"http://127.0.0.1:{self.sandbox.ports['tds']}{path}"
        headers = {"Authorization": "Bearer key-of-account-tds", "Idempotency-Key": new_key()}
        answer = httpx.request(method, address, json=body, headers=headers, timeout=20)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def begin(self, card: str) -> dict[str, Any]:
        notify = f"{self.url}/method-done"
        body = {"acctNumber": card, "threeDSMethodNotificationURL": notify}
        return self.ask("POST", "/3ds/versioning", body)

    def authenticate(self, card: str, name: str = "", **elements: Any) -> dict[str, Any]:
        name = name or self.begin(card)["threeDSServerTransID"]
        back = {"notificationURL": f"{self.url}/back", **elements}
        return self.ask("POST", "/3ds/authenticate", areq(name, card, **back))

    def result(self, ares: Mapping[str, Any]) -> dict[str, Any]:
        return self.ask("GET", f"/3ds/authentications/{ares['threeDSServerTransID']}")

    def challenge_page(self, ares: Mapping[str, Any], *, framed: bool = False) -> str:
        """The address of a shop's page that leads to the bank, in a frame or in its own place."""
        fields = {"creq": ares["encodedCReq"], "threeDSSessionData": "c2Vzc2lvbg"}
        return self.form_page(ares["acsURL"], fields, framed=framed)

    def form_page(self, action: str, fields: Mapping[str, str], *, framed: bool) -> str:
        """The address of a page whose button posts the fields."""
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in fields.items()
        )
        path = f"/pay/{len(self.pages)}"
        self.pages[path] = _PAY.format(
            action=escape(action),
            target=' target="bank"' if framed else "",
            fields=hidden,
            frame='<iframe name="bank" width="500" height="600"></iframe>' if framed else "",
        )
        return self.url + path

    def serve_opener(self, checkout: str) -> str:
        """The address of a page that frames the checkout and keeps what it is told."""
        parts = urllib.parse.urlsplit(checkout)
        asked = f"{checkout}?origin={urllib.parse.quote(self.url, safe='')}"
        self.pages["/opener"] = (
            "<!doctype html><title>Shop</title><script>addEventListener('message', (event) => {"
            f"if (event.origin === '{parts.scheme}://{parts.netloc}') window.told = event.data;"
            f"}});</script><iframe src='{escape(asked)}'></iframe>"
        )
        return f"{self.url}/opener"


@contextmanager
def open_shop(sandbox: Sandbox) -> Iterator[Shop]:
    """A shop on a port of the system's choice."""
    shop = Shop(sandbox)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(shop.pages.get(self.path, "<!doctype html><title>Shop</title>"))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            with shop.came:
                shop.posted.append((self.path, dict(urllib.parse.parse_qsl(raw))))
                shop.came.notify_all()
            self._answer("<!doctype html><title>Thanks</title><h1>Thanks</h1>")

        def _answer(self, page: str) -> None:
            body = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
