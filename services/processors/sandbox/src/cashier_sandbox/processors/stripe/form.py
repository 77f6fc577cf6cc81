"""Stripe's requests as they arrive: nested brackets in a form or a query, within named limits."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from cashier_sandbox.domain.card_number import has_card_number
from cashier_sandbox.flows.refusals import Code, Refused

# 50 metadata pairs of 500 characters, each of them percent-encoded, and all the rest.
BODY_MAX_BYTES = 131_072
FORM_FIELDS_MAX = 400
FORM_DEPTH_MAX = 5
FORM_NAME_MAX_CHARS = 200
FORM_VALUE_MAX_CHARS = 5_000
LIST_ITEMS_MAX = 200
_NAME = re.compile(r"([a-zA-Z0-9_]+)((?:\[[^\[\]]*\])*)")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_FORM = "application/x-www-form-urlencoded"


async def form_of(request: web.Request) -> dict[str, Any]:
    """Return the parameters of a request: strings, lists of them, and objects of both.

    Those of a GET stand in its query, those of a POST in its body. Raises Refused.
    """
    if request.method in {"GET", "DELETE"}:
        return nested(request.rel_url.raw_query_string)
    raw = await request.read()
    if raw and request.content_type != _FORM:
        raise refuse(
            "", f"the body must be {_FORM}, not {request.content_type}", "parameter_invalid"
        )
    try:
        return nested(raw.decode("ascii"))
    except UnicodeDecodeError:
        raise refuse("", "the body must be percent-encoded ASCII", "parameter_invalid") from None


def nested(text: str) -> dict[str, Any]:
    """Return `a[b]=1&c[]=2&c[]=3` as {"a": {"b": "1"}, "c": ["2", "3"]}."""
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError as error:
        raise refuse(
            "",
            f"the parameters cannot be read: they are percent-encoded UTF-8, at most "
            f"{FORM_FIELDS_MAX} of them",
            "parameter_invalid",
        ) from error
    root: dict[str, Any] = {}
    for name, value in pairs:
        _put(root, name, value)
    return {name: _listed(name, value) for name, value in root.items()}


def refuse(param: str, message: str, code: str) -> Refused:
    """Return a 400 about one parameter, in Stripe's words."""
    return Refused(Code.INVALID_REQUEST, message, param or None, {"code": code})


def _put(root: dict[str, Any], name: str, value: str) -> None:
    path = _path(name)
    _check(path[0], name, value)
    at = root
    for part in path[:-1]:
        below = at.setdefault(part, {})
        if not isinstance(below, dict):
            raise refuse(path[0], f"{path[0]} is both a value and an object", "parameter_invalid")
        at = below
    last = path[-1] or str(len(at))
    if last in at:
        raise refuse(path[0], f"{path[0]} is given twice", "parameter_invalid")
    at[last] = value


def _path(name: str) -> list[str]:
    parsed = _NAME.fullmatch(name) if len(name) <= FORM_NAME_MAX_CHARS else None
    if parsed is None or has_card_number(name):
        raise refuse("", "the name of a parameter cannot be read", "parameter_unknown")
    path = [parsed[1], *_BRACKET.findall(parsed[2])]
    if len(path) > FORM_DEPTH_MAX:
        raise refuse(
            path[0], f"{path[0]} is nested deeper than {FORM_DEPTH_MAX}", "parameter_invalid"
        )
    return path


def _check(param: str, name: str, value: str) -> None:
    if len(value) > FORM_VALUE_MAX_CHARS:
        raise refuse(
            param,
            f"{param} is longer than {FORM_VALUE_MAX_CHARS} characters",
            "parameter_invalid_string_too_long",
        )
    if not value.isprintable() or not name.isprintable():
        raise refuse(param, f"{param} must not contain control characters", "parameter_invalid")
    if has_card_number(value):
        raise refuse(
            param, f"{param} contains a card number; send a payment method", "parameter_invalid"
        )


def _listed(name: str, value: Any) -> Any:  # noqa: ANN401  a tree of strings
    """Turn objects whose keys count from 0 into lists."""
    if not isinstance(value, dict):
        return value
    if all(key.isdigit() for key in value) and name != "metadata":
        if len(value) > LIST_ITEMS_MAX:
            raise refuse(name, f"{name} has more than {LIST_ITEMS_MAX} items", "parameter_invalid")
        return [_listed(name, item) for item in value.values()]
    return {key: _listed(key, item) for key, item in value.items()}
