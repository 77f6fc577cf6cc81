"""Ids: short, lower-case, and derived from what must not happen twice."""

import base64
import hashlib
import secrets

# 26 base32 characters are 130 bits: enough that a collision is not a thing to plan for.
ID_LENGTH_CHARS = 26
# Adyen takes idempotency keys of at most 64 characters, the shortest limit among processors.
DOWNSTREAM_KEY_MAX_CHARS = 64
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def _text(digest: bytes) -> str:
    return base64.b32encode(digest).decode("ascii").lower()[:ID_LENGTH_CHARS]


def _digest(*parts: str) -> bytes:
    """SHA-256 over the parts, each preceded by its length so that no two lists collide."""
    joined = hashlib.sha256()
    for part in parts:
        data = part.encode()
        joined.update(len(data).to_bytes(4, "big") + data)
    return joined.digest()


def payment_name(merchant: str, key: str) -> str:
    """`payments/pay_…` from merchant and idempotency key: racing duplicates are one payment."""
    return f"payments/pay_{_text(_digest(merchant, key))}"


def operation_name(payment: str, number: int) -> str:
    """`payments/…/operations/3`: the third try of this payment."""
    return f"{payment}/operations/{number}"


def derived_name(collection: str, prefix: str, *parts: str) -> str:
    """`collection/prefix_…`, the same for the same parts."""
    return f"{collection}/{prefix}_{_text(_digest(*parts))}"


def new_name(collection: str, prefix: str) -> str:
    """`collection/prefix_…`, random."""
    return f"{collection}/{prefix}_{_text(secrets.token_bytes(32))}"


def downstream_key(operation: str, processor_account: str) -> str:
    """The idempotency key for a processor: the same over retries of one operation at one account.

    Different accounts get different keys; at most DOWNSTREAM_KEY_MAX_CHARS characters, and short
    enough that an adapter may append a word. Letters alone: one hexadecimal key in 250 has a run of
    digits that reads as a card number, and a processor that looks for those refuses it.
    """
    return f"csh_{_digest(operation, processor_account).hex()[:48].translate(_LETTERS)}"
