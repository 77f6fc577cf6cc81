"""Stripe's lists: newest first, by `created`, with `starting_after`, `ending_before`, `limit`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.processors.stripe.expand import expanded
from cashier_sandbox.processors.stripe.form import refuse
from cashier_sandbox.processors.stripe.intent_objects import unix
from cashier_sandbox.processors.stripe.params import Params

PAGE_MAX_ITEMS = 100
PAGE_DEFAULT_ITEMS = 10
_T = TypeVar("_T")
_BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda at, bound: at > bound,
    "gte": lambda at, bound: at >= bound,
    "lt": lambda at, bound: at < bound,
    "lte": lambda at, bound: at <= bound,
}


class Page:
    """Where a list begins, how long it is, and the times that it covers."""

    def __init__(self, params: Params) -> None:
        self._limit = params.integer("limit", PAGE_DEFAULT_ITEMS)
        if not 1 <= self._limit <= PAGE_MAX_ITEMS:
            raise refuse(
                "limit", f"limit must be from 1 to {PAGE_MAX_ITEMS}", "parameter_invalid_integer"
            )
        self._after = params.text("starting_after", default="")
        self._before = params.text("ending_before", default="")
        if self._after and self._before:
            raise refuse(
                "ending_before",
                "starting_after and ending_before cannot be used together.",
                "parameter_invalid",
            )
        self._expand = params.expand
        self._created = _created(params)

    def answer(
        self,
        desk: Desk,
        path: str,
        newest_first: Iterable[_T],
        *,
        name: Callable[[_T], str],
        at: Callable[[_T], str],
        body: Callable[[_T], dict[str, Any]],
    ) -> dict[str, Any]:
        """Return a list object; `at` is the ledger's time of an item."""
        found, more = self._cut([item for item in newest_first if self._covers(at(item))], name)
        listed = {
            "object": "list",
            "data": [body(item) for item in found],
            "has_more": more,
            "url": path,
        }
        return expanded(desk, listed, self._expand)

    def _covers(self, at: str) -> bool:
        return not self._created or all(
            _BOUNDS[bound](unix(at), value) for bound, value in self._created.items()
        )

    def _cut(self, items: Sequence[_T], name: Callable[[_T], str]) -> tuple[Sequence[_T], bool]:
        """Return one page, and whether there is more in the direction that was asked for."""
        start, cursor = 0, self._after or self._before
        if cursor:
            place = next((i for i, item in enumerate(items) if name(item) == cursor), None)
            if place is None:
                raise Refused(
                    Code.INVALID_REQUEST,
                    "The cursor is not in this list.",
                    "starting_after" if self._after else "ending_before",
                    {"code": "resource_missing"},
                )
            if self._before:
                start = max(0, place - self._limit)
                return items[start:place], start > 0
            start = place + 1
        end = start + self._limit
        return items[start:end], end < len(items)


def _created(params: Params) -> dict[str, int]:
    if "created" not in params:
        return {}
    taken = params.take("created")
    if isinstance(taken, str):
        exact = Params({"created": taken}).integer("created")
        return {"gte": exact, "lte": exact}
    bounds = Params(taken if isinstance(taken, dict) else {})
    found = {name: bounds.integer(name) for name in _BOUNDS if name in bounds}
    bounds.end()
    return found
