"""Reads the caller's idempotency key; claiming it is the flow's, in its own transaction."""

import re

from cashier_common.errors import IdempotencyKeyMissing

IDEMPOTENCY_KEY = "idempotency-key"
KEY_MIN_CHARS = 16  # money-safety.md §1.1
KEY_MAX_CHARS = 128  # money-safety.md §1.1
_KEY = re.compile(rf"[\x21-\x7e]{{{KEY_MIN_CHARS},{KEY_MAX_CHARS}}}")


def check_key(key: str | None, method: str) -> None:
    """IdempotencyKeyMissing unless the key is 16 to 128 visible ASCII characters."""
    if key is None:
        raise IdempotencyKeyMissing(method=method, problem="missing")
    if _KEY.fullmatch(key) is None:
        raise IdempotencyKeyMissing(method=method, problem="malformed")
