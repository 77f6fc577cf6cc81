"""Page tokens: opaque, signed, and good for one filter only."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from cashier_common.errors import FieldInvalid, PageTokenInvalid
from cashier_common.settings import ServiceSettings

PAGE_SIZE_DEFAULT = 50  # style.md §1, rule 158
PAGE_SIZE_MAX = 1_000  # style.md §1, rule 158
SIGNATURE_BYTES = 16
KEY_CONTEXT = b"cashier page token v1"


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows to read: at most `size`, those after the key `after` (None for the first page)."""

    size: int
    after: tuple[str | int, ...] | None


class Pager:
    """Reads and writes the page tokens of one service."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def read(self, *, page_size: int, page_token: str, bound_to: Sequence[str | int]) -> Page:
        """The page that a request asks for.

        `bound_to` is everything that chooses rows: method, merchant, filter. FieldInvalid for a
        negative size, PageTokenInvalid for a token that is not ours or belongs to another filter.
        """
        if page_size < 0:
            raise FieldInvalid("page_size", str(page_size), f"from 0 to {PAGE_SIZE_MAX}")
        size = min(page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        if not page_token:
            return Page(size, None)
        try:
            raw = base64.b64decode(page_token.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise PageTokenInvalid from None
        signature, payload = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(payload, bound_to)):
            raise PageTokenInvalid
        return Page(size, tuple(orjson.loads(payload)))

    def token(self, after: Sequence[str | int], *, bound_to: Sequence[str | int]) -> str:
        """The `next_page_token` that continues behind the row with this key."""
        payload = orjson.dumps(list(after))
        return base64.urlsafe_b64encode(self._signature(payload, bound_to) + payload).decode()

    def _signature(self, payload: bytes, bound_to: Sequence[str | int]) -> bytes:
        signed = orjson.dumps(list(bound_to)) + b"\0" + payload  # JSON holds no raw zero byte
        return hmac.digest(self._key, signed, hashlib.sha256)[:SIGNATURE_BYTES]


def pager(settings: ServiceSettings, domain: str) -> Pager:
    """The pager of a service: all replicas make the same key, no two services do.

    Without PAGE_TOKEN_KEY the key comes from DATABASE_URL, the one secret that replicas share. A
    token is no permission: what it may show is decided by the merchant of the request.
    """
    secret = settings.page_token_key.get_secret_value() or settings.database_url.get_secret_value()
    return Pager(hmac.digest(secret.encode(), KEY_CONTEXT + domain.encode(), hashlib.sha256))
