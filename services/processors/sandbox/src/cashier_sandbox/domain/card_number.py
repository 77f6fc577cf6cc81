"""Recognise a card number, so that none reaches the ledger or a log."""

from __future__ import annotations

import re
import unicodedata

# 13 to 19 digits with separators between them, beginning like a card scheme (2 to 6).
_CANDIDATE = re.compile(r"(?<!\d)[2-6](?:[ .\-_/]?\d){12,18}(?!\d)")
_LENGTH_MIN_DIGITS = 13


def has_card_number(text: str) -> bool:
    """Whether the text holds a card number, separators and full-width digits included."""
    if len(text) < _LENGTH_MIN_DIGITS:
        return False
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return any(_luhn(found.group()) for found in _CANDIDATE.finditer(plain))


def _luhn(text: str) -> bool:
    digits = [int(letter) for letter in reversed(text) if letter.isdigit()]
    doubled = (sum(divmod(digit * 2, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
