"""What two digits say of an entry: kind of account, direction, and whether money moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Direction(StrEnum):
    """Whether the receiver's account gets money or gives it."""

    CREDIT = "CREDIT"
    DEBIT = "DEBIT"


class Purpose(StrEnum):
    """What the entry is for; a prenote and a zero-dollar entry carry no amount."""

    RETURN = "RETURN"  # a return or a notification of change
    LIVE = "LIVE"
    PRENOTE = "PRENOTE"
    ZERO_DOLLAR = "ZERO_DOLLAR"


@dataclass(frozen=True, slots=True)
class TransactionCode:
    """One code. `account` is checking, savings, ledger or loan."""

    account: str
    direction: Direction
    purpose: Purpose


_C, _D = Direction.CREDIT, Direction.DEBIT
_PURPOSES: Final = (Purpose.RETURN, Purpose.LIVE, Purpose.PRENOTE, Purpose.ZERO_DOLLAR)
TRANSACTION_CODES: Final[Mapping[str, TransactionCode]] = {
    **{
        f"{tens}{first + place}": TransactionCode(account, direction, purpose)
        for tens, account in ((2, "checking"), (3, "savings"), (4, "ledger"))
        for first, direction in ((1, _C), (6, _D))
        for place, purpose in enumerate(_PURPOSES)
    },
    **{
        f"5{1 + place}": TransactionCode("loan", _C, purpose)
        for place, purpose in enumerate(_PURPOSES)
    },
    "55": TransactionCode("loan", _D, Purpose.LIVE),  # reversals only
    "56": TransactionCode("loan", _D, Purpose.RETURN),
}
MIXED, CREDITS_ONLY, DEBITS_ONLY, ADVICES = "200", "220", "225", "280"
SERVICE_CLASSES: Final[Mapping[str, frozenset[Direction]]] = {
    MIXED: frozenset({_C, _D}),
    CREDITS_ONLY: frozenset({_C}),
    DEBITS_ONLY: frozenset({_D}),
    ADVICES: frozenset({_C, _D}),
}
