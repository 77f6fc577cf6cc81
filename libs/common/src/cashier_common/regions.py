"""Groups of countries whose traffic lives and dies together: coarse, so that each has enough."""

from typing import Final

_MEMBERS: Final = """
NA: US CA
EU: AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK
LATAM: AR BO BR CL CO CR CU DO EC GT HN HT MX NI PA PE PR PY SV UY VE
APAC: AU BD CN FJ HK ID IN JP KH KR LA LK MM MN MO MY NP NZ PH PK SG TH TW VN
"""
ELSEWHERE: Final = "OTHER"
_REGION_OF: Final = {
    country: name
    for name, _, members in (line.partition(": ") for line in _MEMBERS.split("\n"))
    for country in members.split()
}


def region_of(country: str) -> str:
    """The region of an ISO 3166 country; OTHER for the rest of the world, "" where none is known.

    Whoever counts by region and whoever asks by region use this table: a new region is a new name.
    """
    return _REGION_OF.get(country, ELSEWHERE) if country else ""
