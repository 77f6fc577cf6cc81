"""Stripe's parameters, taken one by one and checked; what nobody takes is refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from cashier_sandbox.processors.stripe.form import refuse

METADATA_MAX_PAIRS = 50
METADATA_KEY_MAX_CHARS = 40
METADATA_VALUE_MAX_CHARS = 500
ID_MAX_CHARS = 255
EXPAND_MAX = 20
_INTEGER = re.compile("-?[0-9]{1,15}")


class Params:
    """The parameters of one request; `expand` is taken first, as every request may have it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._left = dict(values)
        self.expand = self.texts("expand", most=EXPAND_MAX)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> object:
        """Return what was given, None where nothing was."""
        return self._left.pop(name, None)

    def text(self, name: str, *, most: int = ID_MAX_CHARS, default: str | None = None) -> str:
        """Return a string of at most `most` characters; None is no default."""
        value = self._left.pop(name, default)
        if value is None:
            raise refuse(name, f"Missing required param: {name}.", "parameter_missing")
        if not isinstance(value, str):
            raise refuse(name, f"Invalid string: {name}", "parameter_invalid")
        if value == "" and default != "":
            raise refuse(name, f"{name} must not be empty.", "parameter_invalid_empty")
        if len(value) > most:
            raise refuse(
                name,
                f"Invalid string: {name}; must be at most {most} characters",
                "parameter_invalid_string_too_long",
            )
        return value

    def texts(self, name: str, *, most: int) -> list[str]:
        """Return a list of strings, empty by default."""
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise refuse(name, f"Invalid array: {name}", "parameter_invalid")
        if len(value) > most:
            raise refuse(name, f"{name} takes at most {most} items.", "parameter_invalid")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer; None is no default."""
        if name not in self._left and default is not None:
            return default
        value = self.text(name)
        if not _INTEGER.fullmatch(value):
            raise refuse(name, f"Invalid integer: {value}", "parameter_invalid_integer")
        return int(value)

    def integer_if_any(self, name: str) -> int | None:
        """Return an integer, None where the parameter is absent."""
        return self.integer(name) if name in self._left else None

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._left.pop(name, default)
        if isinstance(value, bool):
            return value
        if value not in {"true", "false"}:
            raise refuse(name, f"Invalid boolean: {name}", "parameter_invalid")
        return bool(value == "true")

    def choice(self, name: str, options: Collection[str], default: str | None = None) -> str:
        """Return one of the options; None is no default."""
        if name not in self._left and default is not None:
            return default
        value = self.text(name)
        if value not in options:
            raise refuse(
                name, f"Invalid {name}: must be one of {', '.join(options)}", "parameter_invalid"
            )
        return value

    def object(self, name: str) -> Params:
        """Return a nested object, empty by default; its own `end` has to be called."""
        value = self._left.pop(name, {})
        if not isinstance(value, dict):
            raise refuse(name, f"Invalid object: {name}", "parameter_invalid")
        return Params(value)

    def metadata(self) -> dict[str, str]:
        """Return the metadata, empty by default; an empty value stands for no such pair."""
        value = self._left.pop("metadata", {})
        if value == "":
            return {}
        if not isinstance(value, dict) or len(value) > METADATA_MAX_PAIRS:
            raise refuse(
                "metadata",
                f"metadata must be an object of at most {METADATA_MAX_PAIRS} pairs",
                "parameter_invalid",
            )
        for key, text in value.items():
            if not isinstance(text, str) or len(text) > METADATA_VALUE_MAX_CHARS:
                raise refuse(
                    f"metadata[{key}]" if len(key) <= METADATA_KEY_MAX_CHARS else "metadata",
                    f"Metadata values must be strings of at most {METADATA_VALUE_MAX_CHARS} "
                    "characters.",
                    "parameter_invalid",
                )
            if not 1 <= len(key) <= METADATA_KEY_MAX_CHARS:
                raise refuse(
                    "metadata",
                    f"Metadata keys must have 1 to {METADATA_KEY_MAX_CHARS} characters.",
                    "parameter_invalid",
                )
        return {key: text for key, text in value.items() if text}

    def end(self) -> None:
        """Refuse what nobody took."""
        if self._left:
            name = min(self._left)
            raise refuse(name, f"Received unknown parameter: {name}", "parameter_unknown")
