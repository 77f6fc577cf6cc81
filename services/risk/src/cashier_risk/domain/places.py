"""Countries and subdivisions in one spelling, so that no spelling slips past a sanction."""

import re
from typing import Final

import pycountry

from cashier_common.errors import FieldInvalid

KOSOVO: Final = "XK"
"""Assigned by its users and not by ISO 3166; card schemes and banks send it."""

COUNTRIES: Final = frozenset(country.alpha_2 for country in pycountry.countries) | {KOSOVO}
SUBDIVISION: Final = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}")


def country(field: str, value: str) -> str:
    """The ISO 3166-1 alpha-2 code in upper case; empty stays empty; FieldInvalid for all else."""
    code = value.strip().upper()
    if code and code not in COUNTRIES:
        raise FieldInvalid(field, value[:16], "an ISO 3166-1 alpha-2 code such as BR")
    return code


def place(field: str, value: str) -> str:
    """A country or an ISO 3166-2 subdivision in upper case; empty stays empty."""
    code = value.strip().upper()
    if not code or code in COUNTRIES:
        return code
    match = SUBDIVISION.fullmatch(code)
    if match is None or match[1] not in COUNTRIES:
        raise FieldInvalid(field, value[:16], "a code of ISO 3166-1 or 3166-2 such as BR or US-NJ")
    return code


def within(code: str, places: frozenset[str]) -> bool:
    """Whether a country or subdivision is one of the places or lies in one of them."""
    return code in places or code[:2] in places
