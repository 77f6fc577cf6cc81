"""Reads a processor's declines.yaml, and refuses one that the lint refuses."""

from dataclasses import dataclass
from importlib import resources

import yaml

from cashier_gateway.domain.declines import DeclineMap, lint, read_rows


class DeclineMapRefused(Exception):
    """A declines.yaml has a row that must not be."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Two vocabularies of a processor: why a payment is declined, why a request is refused."""

    declines: DeclineMap
    errors: DeclineMap


def load_codes(processor: str) -> Codes:
    """The rows beside the processor's adapter; DeclineMapRefused names each bad one."""
    folder = resources.files("cashier_gateway.clients") / processor
    document = yaml.safe_load((folder / "declines.yaml").read_text(encoding="utf-8"))
    declines, errors = (DeclineMap(read_rows(document[part])) for part in ("declines", "errors"))
    faults = lint(declines.rows) + lint(errors.rows)
    if faults:
        raise DeclineMapRefused("; ".join(faults))
    return Codes(declines=declines, errors=errors)
