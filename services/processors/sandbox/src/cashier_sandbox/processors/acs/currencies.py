"""ISO 4217's numeric codes, which EMV messages carry, of the currencies that accounts here have."""

from __future__ import annotations

ALPHABETIC: dict[str, str] = {
    "036": "AUD",
    "124": "CAD",
    "152": "CLP",
    "203": "CZK",
    "208": "DKK",
    "348": "HUF",
    "352": "ISK",
    "360": "IDR",
    "392": "JPY",
    "414": "KWD",
    "484": "MXN",
    "578": "NOK",
    "752": "SEK",
    "756": "CHF",
    "826": "GBP",
    "840": "USD",
    "946": "RON",
    "975": "BGN",
    "978": "EUR",
    "985": "PLN",
    "986": "BRL",
}
