"""Read a request strictly: what is not asked for is refused, and each refusal names its field."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from aiohttp import web

from cashier_sandbox.domain.card_number import has_card_number
from cashier_sandbox.flows.refusals import Code, Refused, invalid

BODY_MAX_BYTES = 16_384
AMOUNT_MAX_MINOR = 999_999_999_999
REFERENCE_MAX_CHARS = 128
TOKEN_MAX_CHARS = 128
METADATA_MAX_PAIRS = 20
METADATA_KEY_MAX_CHARS = 40
METADATA_VALUE_MAX_CHARS = 500
KEY_MAX_CHARS = 64
PAGE_MAX_ITEMS = 100
PAGE_DEFAULT_ITEMS = 50
IDEMPOTENCY_KEY = "Idempotency-Key"
_ABSENT = object()
_NUMBER = re.compile("[0-9]{1,15}")


class Fields:
    """The fields of a JSON object or a query, taken one by one; `end` refuses the rest."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._left = dict(values)

    def take(self, name: str, default: object = _ABSENT) -> object:
        """Return a raw value; refused when it is absent and has no default."""
        value = self._left.pop(name, default)
        if value is _ABSENT:
            raise invalid(name, f"{name} is required")
        return value

    def has(self, name: str) -> bool:
        """Whether a field is there and was not taken yet."""
        return name in self._left

    def text(self, name: str, *, most: int, default: str | None = None) -> str:
        """Return 1 … `most` printable characters without a card number; None is no default."""
        if default is not None and name not in self._left:
            return default
        return checked_text(name, self.take(name), most=most)

    def integer(self, name: str, *, least: int, most: int, default: int | None = None) -> int:
        """Return an integer in the range: never a bool, never a float."""
        value = self.take(name, _ABSENT if default is None else default)
        if type(value) is not int or not least <= value <= most:
            raise invalid(name, f"{name} must be an integer from {least} to {most}")
        return value

    def integer_if_any(self, name: str, *, least: int, most: int) -> int | None:
        """Return an integer in the range, None where the field is absent."""
        return self.integer(name, least=least, most=most) if name in self._left else None

    def number(self, name: str, *, default: int) -> int:
        """Return a non-negative integer that arrived as text, as in a query."""
        value = self.take(name, str(default))
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise invalid(name, f"{name} must be a number without sign, at most 15 digits")
        return int(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.take(name, default)
        if type(value) is not bool:
            raise invalid(name, f"{name} must be true or false")
        return value

    def choice(self, name: str, options: Collection[str], default: str | None = None) -> str:
        """Return one of the options; None is no default."""
        if default is not None and name not in self._left:
            return default
        value = self.take(name)
        if not isinstance(value, str) or value not in options:
            raise invalid(name, f"{name} must be one of {', '.join(sorted(options))}")
        return value

    def pairs(self, name: str) -> dict[str, str]:
        """Return an object of strings, empty by default."""
        value = self.take(name, None)
        if value is None:
            return {}
        if not isinstance(value, dict) or len(value) > METADATA_MAX_PAIRS:
            raise invalid(name, f"{name} must be an object of at most {METADATA_MAX_PAIRS} pairs")
        for key, text in value.items():
            checked_text(f"{name} (a key)", key, most=METADATA_KEY_MAX_CHARS)
            checked_text(f"{name}.{key}", text, most=METADATA_VALUE_MAX_CHARS, least=0)
        return value

    def end(self) -> None:
        """Refuse what nobody took."""
        if self._left:
            name = min(self._left)
            speakable = name.isprintable() and len(name) <= KEY_MAX_CHARS
            shown = name if speakable and not has_card_number(name) else "(a field)"
            raise invalid(shown, f"{shown} is not a field of this request")


def checked_text(name: str, value: object, *, most: int, least: int = 1) -> str:
    """Return a string of that length, printable and free of card numbers; refuse all else."""
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise invalid(name, f"{name} must be a string of {least} to {most} characters")
    if not value.isprintable():
        raise invalid(name, f"{name} must not contain control characters")
    if has_card_number(value):
        raise invalid(name, f"{name} contains a card number; send a token instead")
    return value


async def json_body(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request; no body is an empty object."""
    raw = await request.read()
    if not raw:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid("body", f"the body is not valid JSON in UTF-8: {error.msg}") from error
    if not isinstance(body, dict):
        raise invalid("body", "the body must be a JSON object")
    return body


def idempotency_key(request: web.Request) -> str:
    """Return the key of a request; it is required and must be 1 … 64 visible ASCII characters."""
    values = request.headers.getall(IDEMPOTENCY_KEY, [])
    if len(values) == 1 and is_key(values[0]):
        return values[0]
    raise Refused(
        Code.IDEMPOTENCY_KEY_MISSING,
        f"send one header {IDEMPOTENCY_KEY} of 1 to {KEY_MAX_CHARS} visible ASCII characters",
        IDEMPOTENCY_KEY,
    )


def is_key(text: str) -> bool:
    """Whether a text can be an idempotency key."""
    return (
        0 < len(text) <= KEY_MAX_CHARS
        and text.isascii()
        and text.isprintable()
        and " " not in text
        and not has_card_number(text)
    )


def query_of(request: web.Request) -> Fields:
    """Return the query's fields; a name that comes twice is refused."""
    query = request.query
    if len(query) != len(set(query)):
        raise invalid("query", "each query parameter may come once")
    return Fields(query)
