"""Routing numbers: eight digits that name a bank, and the ninth that checks them."""

from typing import Final

_WEIGHTS: Final = (3, 7, 1, 3, 7, 1, 3, 7)
ROUTING_DIGITS: Final = 9


def check_digit(rdfi: str) -> str:
    """The ninth digit of a routing number of eight digits."""
    total = sum(int(digit) * weight for digit, weight in zip(rdfi, _WEIGHTS, strict=True))
    return str(-total % 10)


def is_routing(text: str) -> bool:
    """Whether nine digits are a routing number that was not mistyped."""
    return (
        len(text) == ROUTING_DIGITS
        and text.isascii()
        and text.isdigit()
        and check_digit(text[:8]) == text[8]
    )
